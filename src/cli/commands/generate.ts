/** `foreman generate`: a prompt in, images out, whatever happens to this process meanwhile. */
import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import type { Foreman } from '../../client/foreman';
import { type ForemanRequest, hasEnded, type Submission } from '../../client/types';
import { again, waitFor } from '../command-line';
import { checkDelivery, type DeliveryOptions, deliver } from '../delivering';
import { type ExitCode, exitCodes } from '../exit-codes';
import { Interrupted, UsageError } from '../fault';
import { readImageFile } from '../files';
import { parsing } from '../parsing';
import { startProgressLine } from '../progress-line';
import { renderRequest } from '../request-text';
import type { Act } from '../run';
import type { Session, SituationSoFar } from '../session';
import {
  type GenerateOptions,
  imageArgument,
  jsonObjectOption,
  listOption,
  numberOption,
  pairOption,
  submissionOf,
  wholeNumberOption,
} from '../submission';
import type { Terminal } from '../terminal';

interface Options extends GenerateOptions, DeliveryOptions {
  readonly idempotencyKey?: string;
  readonly wait: boolean;
  readonly cancel: boolean;
}

export function addGenerate(program: Command, act: Act): void {
  const number = parsing(numberOption);
  const wholeNumber = parsing(wholeNumberOption);
  program
    .command('generate')
    .description('make images from a prompt, and wait for them')
    .argument('<prompt>', 'what to draw; - reads it from stdin')
    .option('-o, --out <path>', 'save to a file, a directory, or - for stdout')
    .option('-f, --force', 'replace files that exist')
    .option('-m, --model <id>', 'as `foreman models` lists them (default: auto)')
    .option('-n, --n <count>', 'how many images', wholeNumber)
    .option('--width <pixels>', 'with --height', wholeNumber)
    .option('--height <pixels>', 'with --width', wholeNumber)
    .option('--aspect-ratio <w:h>', 'in place of a size, such as 16:9')
    .option('--seed <number>', 'the same seed draws the same, where the provider can', wholeNumber)
    .option('--steps <count>', 'of the diffusion', wholeNumber)
    .option('--guidance-scale <number>', 'how closely to follow the prompt', number)
    .option('--negative-prompt <text>', 'what not to draw')
    .option('--format <format>', 'png, jpeg or webp')
    .option('--style <name>', "one of the operator's styles")
    .option('--image <file|id|url>', 'a picture to start from')
    .option('--mask <file|id|url>', 'which part of it to repaint')
    .option('--strength <0..1>', 'how much of it to change', number)
    .option('--fallback <model>', 'tried when the model cannot; may be repeated', listOption)
    .option('--fallback-on-refusal', 'also when a provider refuses')
    .option('--provider-options <json>', 'passed on, by provider', parsing(jsonObjectOption))
    .option('--priority <priority>', 'low, normal or high')
    .option('--max-cost <usd>', 'never spend more', number)
    .option('--on-budget <reject|wait>', 'what comes of it when your budget is spent')
    .option('--deadline <seconds>', 'when it must have ended', wholeNumber)
    .option('--metadata <key=value>', 'kept with the request; may be repeated', parsing(pairOption))
    .option('--idempotency-key <key>', 'the same key again collects the same result')
    .option('--no-wait', 'print the accepted request, and do not wait')
    .option('--no-cancel', 'Ctrl-C leaves the request running')
    .option('--no-preview', 'show no picture in the terminal')
    .action(act(generate));
}

const FROM_STDIN = '-';
/** More than any prompt may have, so that one that is too long is refused as such. */
const MOST_INPUT = 100_000;

/** Without the line break that ends a file. @throws UsageError when there is none. */
async function promptFrom(terminal: Terminal): Promise<string> {
  const prompt = (await terminal.readInput(MOST_INPUT)).trimEnd();
  if (prompt === '') throw new UsageError('There is no prompt on stdin.');
  return prompt;
}

async function generate(
  session: Session,
  [given = '']: readonly string[],
  options: Options,
): Promise<ExitCode> {
  const { output, situation, terminal, words } = session;
  if (!options.wait && options.out !== undefined) {
    throw new UsageError(
      '--no-wait has no image to save: leave out --out; `foreman get <id> --wait --out <path>` saves it later.',
    );
  }
  const foreman = session.foreman();
  await checkDelivery(session, options, options.n ?? 1);
  const prompt = given === FROM_STDIN ? await promptFrom(terminal) : given;
  const submission = submissionOf(prompt, options, {
    image: await referenceOf(foreman, options.image),
    mask: await referenceOf(foreman, options.mask),
  });
  const idempotencyKey = options.idempotencyKey ?? randomUUID();
  situation.idempotencyKey = idempotencyKey;
  situation.isKeyGiven = options.idempotencyKey !== undefined;
  situation.collectBy = [again(words, idempotencyKey)];
  if (!options.wait) {
    const request = await foreman.requests.submit(submission, { idempotencyKey });
    const { paint, width } = output;
    const text = () => renderRequest(request, { paint, width, now: terminal.now() });
    await output.result({ json: request, text });
    return exitCodes.ok;
  }
  const request = await waitForEnd(session, { foreman, submission, idempotencyKey }, options);
  await deliver(session, { foreman, request }, options);
  return exitCodes.ok;
}

/** @throws GenerationFailed, Interrupted, and what else the client throws */
async function waitForEnd(
  { terminal, output, situation, words }: Session,
  asked: {
    readonly foreman: Foreman;
    readonly submission: Submission;
    readonly idempotencyKey: string;
  },
  { cancel }: Options,
): Promise<ForemanRequest> {
  const { foreman, submission, idempotencyKey } = asked;
  const line = startProgressLine(terminal, output);
  const stopping = new AbortController();
  const leave = () => {
    const what = stopping.signal.aborted ? 'It may not be canceled yet' : 'Left running';
    line.note(`${what}. Collect it by: ${situation.collectBy[0]}`);
    line.end();
    return terminal.exit(exitCodes.interrupted);
  };
  const endListening = terminal.onInterrupt(() => {
    if (!cancel || stopping.signal.aborted) return leave();
    line.note('Canceling; Ctrl-C again does not wait for that.');
    stopping.abort(new Interrupted('Interrupted.'));
  });
  try {
    const { request } = await foreman.generate(submission, {
      idempotencyKey,
      signal: stopping.signal,
      onUpdate(request) {
        if (situation.requestId === undefined) {
          // Said beforehand: who is killed says nothing any more.
          line.note(`Request ${request.id}`);
          if (!hasEnded(request)) {
            line.note(`If this is cut short, collect it by: ${situation.collectBy[0]}`);
          }
          situation.requestId = request.id;
          situation.collectBy = [waitFor(request.id, words), ...situation.collectBy];
        }
        line.update(request);
      },
    });
    return request;
  } catch (error) {
    throw error instanceof Interrupted ? await interrupted(foreman, situation) : error;
  } finally {
    endListening();
    line.end();
  }
}

/** How long an answer may take that only makes the last words more exact. */
const LAST_LOOK_MS = 3_000;

async function interrupted(foreman: Foreman, situation: SituationSoFar): Promise<Interrupted> {
  const { requestId, collectBy } = situation;
  const collect = `\`${collectBy[0]}\` collects it`;
  if (requestId === undefined) {
    return new Interrupted(`Interrupted; should it have been accepted all the same, ${collect}.`);
  }
  const signal = AbortSignal.timeout(LAST_LOOK_MS);
  const request = await foreman.requests.get(requestId, { signal }).catch(() => null);
  if (request !== null && hasEnded(request)) {
    return new Interrupted(`Interrupted; the request ${requestId} ended as ${request.status}.`);
  }
  return new Interrupted(
    `Interrupted; the request may go on: \`foreman cancel ${requestId}\` tries again, ${collect}.`,
  );
}

/** A file is uploaded; the same bytes again are the same image. */
async function referenceOf(
  foreman: Foreman,
  text: string | undefined,
): Promise<string | undefined> {
  if (text === undefined) return undefined;
  const argument = imageArgument(text);
  if (argument.kind === 'reference') return argument.reference;
  const { id } = await foreman.images.upload(await readImageFile(argument.path));
  return id;
}
