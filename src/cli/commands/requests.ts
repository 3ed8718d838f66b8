/** `foreman list`, `get` and `cancel`. */
import type { Command } from 'commander';
import { GenerationFailed } from '../../client/errors';
import type { Foreman } from '../../client/foreman';
import { type ForemanRequest, hasEnded, type RequestQuery } from '../../client/types';
import { waitFor } from '../command-line';
import { checkDelivery, type DeliveryOptions, deliver } from '../delivering';
import { type ExitCode, exitCodes } from '../exit-codes';
import { UsageError } from '../fault';
import { parsing } from '../parsing';
import { showPreviews, wantsPreview } from '../preview';
import { startProgressLine } from '../progress-line';
import { renderRequest, renderRequests } from '../request-text';
import type { Act } from '../run';
import type { Session } from '../session';
import { wholeNumberOption } from '../submission';
import { plain } from '../text';

interface ListOptions {
  readonly status?: string;
  readonly model?: string;
  readonly limit?: number;
  readonly all?: boolean;
}

interface GetOptions extends DeliveryOptions {
  readonly wait?: boolean;
}

export function addRequests(program: Command, act: Act): void {
  program
    .command('list')
    .description('list your requests, newest first')
    .option('--status <status>', 'queued, running, succeeded, failed, canceled or expired')
    .option('--model <id>', 'as it was asked for')
    .option('--limit <count>', 'at most so many (1 to 100)', parsing(wholeNumberOption))
    .option('--all', 'all of them; with --json a line each')
    .action(act(list));
  program
    .command('get')
    .description('show a request with its attempts, or save its images')
    .argument('<id>', 'req_…')
    .option('-o, --out <path>', 'save to a file, a directory, or - for stdout')
    .option('-f, --force', 'replace files that exist')
    .option('-w, --wait', 'until it has ended')
    .option('--no-preview', 'show no picture in the terminal')
    .action(act(get));
  program
    .command('cancel')
    .description('cancel a request')
    .argument('<id>', 'req_…')
    .action(act(cancel));
}

async function list(
  session: Session,
  _: readonly string[],
  options: ListOptions,
): Promise<ExitCode> {
  const { output } = session;
  const { requests } = session.foreman();
  const query = queryOf(options);
  if (options.all !== true) {
    const page = await requests.list(query);
    await output.result({ json: page, text: () => textOf(session, page.items) });
    return exitCodes.ok;
  }
  if (options.limit !== undefined) throw new UsageError('Give --limit or --all.');
  const all: ForemanRequest[] = [];
  for await (const request of requests.all(query)) {
    if (output.isJson) await output.line(request);
    else all.push(request);
  }
  if (!output.isJson) await output.result({ json: null, text: () => textOf(session, all) });
  return exitCodes.ok;
}

/** Which statuses there are, the server knows: it names the fault. */
const queryOf = ({ status, model, limit }: ListOptions): RequestQuery =>
  ({
    ...(status === undefined ? {} : { status }),
    ...(model === undefined ? {} : { model }),
    ...(limit === undefined ? {} : { limit }),
  }) as RequestQuery;

const textOf = ({ terminal, output }: Session, requests: readonly ForemanRequest[]) =>
  renderRequests(requests, { now: terminal.now(), paint: output.paint, width: output.width });

async function get(
  session: Session,
  [id = '']: readonly string[],
  options: GetOptions,
): Promise<ExitCode> {
  const { output, situation, terminal } = session;
  const foreman = session.foreman();
  situation.requestId = id;
  const request = options.wait
    ? await waitForEnd(session, { foreman, id })
    : await foreman.requests.get(id);
  if (options.out !== undefined) {
    if (request.status !== 'succeeded' && hasEnded(request)) throw new GenerationFailed(request);
    if (!hasEnded(request)) {
      throw new UsageError(`The request ${id} is ${request.status}; --wait waits for its images.`);
    }
    await checkDelivery(session, options, request.images.length);
    await deliver(session, { foreman, request }, options);
    return exitCodes.ok;
  }
  const { paint, width } = output;
  const text = () => renderRequest(request, { paint, width, now: terminal.now() });
  await output.result({ json: request, text });
  if (request.images.length > 0 && wantsPreview(terminal, { isJson: output.isJson, ...options })) {
    await showPreviews(terminal, request.images, foreman);
  }
  return options.wait && request.status !== 'succeeded' ? exitCodes.failed : exitCodes.ok;
}

/** Ctrl-C ends the waiting: who looks on has no say in the request. */
async function waitForEnd(
  { terminal, output, words }: Session,
  { foreman, id }: { readonly foreman: Foreman; readonly id: string },
): Promise<ForemanRequest> {
  const line = startProgressLine(terminal, output);
  const endListening = terminal.onInterrupt(() => {
    line.note(`Not waiting any longer; the request goes on. Collect it by: ${waitFor(id, words)}`);
    line.end();
    terminal.exit(exitCodes.interrupted);
  });
  try {
    let last: ForemanRequest | null = null;
    for await (const request of foreman.requests.follow(id)) {
      line.update(request);
      last = request;
    }
    if (last === null) throw new Error('A request that is followed has one version at least.');
    return last;
  } finally {
    endListening();
    line.end();
  }
}

async function cancel(session: Session, [id = '']: readonly string[]): Promise<ExitCode> {
  const { output } = session;
  session.situation.requestId = id;
  const request = await session.foreman().requests.cancel(id);
  await output.result({
    json: request,
    text: () => `${plain(`${request.id} ${request.status}`)}\n`,
  });
  return exitCodes.ok;
}
