/** What went wrong, as a problem document for programs and as lines for people. Pure. */
import { ConnectionFailed, ForemanError, GenerationFailed, WaitTimedOut } from '../client/errors';
import type { ForemanRequest } from '../client/types';
import { type ExitCode, exitCodeOfStatus, exitCodes } from './exit-codes';
import type { Paint } from './paint';
import { plain } from './text';
import { durationText } from './times';

/** The command line itself is wrong. */
export class UsageError extends Error {}

/** Nothing to say who asks with. */
export class NoCredential extends Error {}

/** What came out could not be written where it was wanted. */
export class SaveError extends Error {}

export class Interrupted extends Error {}

export interface Fault {
  readonly exitCode: ExitCode;
  /** As of RFC 9457; of faults of our own, without `status`. */
  readonly problem: Readonly<Record<string, unknown>> & {
    readonly code: string;
    readonly title: string;
    readonly detail: string;
  };
  /** What to do, one sentence each. */
  readonly advice: readonly string[];
}

/** What the command was doing when it failed. */
export interface Situation {
  readonly url: string;
  readonly requestId?: string | undefined;
  readonly idempotencyKey?: string | undefined;
  /** By who called; of others nobody knows but for this command. */
  readonly isKeyGiven?: boolean | undefined;
  /** Which help to ask for, where the words of the command line are wrong. */
  readonly help?: string | undefined;
  /** The first of its words: `webhooks` of `webhooks ping`. */
  readonly command?: string | undefined;
  /** The command lines that collect what may have been made. */
  readonly collectBy: readonly string[];
}

export function faultOf(error: unknown, situation: Situation): Fault {
  const { exitCode, problem, advice } = judge(error, situation);
  const told = {
    ...problem,
    ...(situation.requestId === undefined ? {} : { request_id: situation.requestId }),
    ...(situation.idempotencyKey === undefined
      ? {}
      : { idempotency_key: situation.idempotencyKey }),
  };
  return { exitCode, problem: told, advice };
}

function judge(error: unknown, situation: Situation): Fault {
  if (error instanceof ForemanError) return refused(error, situation);
  if (error instanceof GenerationFailed) return ended(error.request, situation);
  if (error instanceof ConnectionFailed) {
    const reason = reasonOf(error.cause);
    const detail = `No answer from ${situation.url}${reason === '' ? '' : ` (${reason})`}.`;
    return own('connection_failed', exitCodes.trouble, 'Connection failed', detail, [
      'Look whether the server runs there; --url or FOREMAN_URL names another.',
      ...collecting(situation),
    ]);
  }
  if (error instanceof WaitTimedOut) {
    const advice = collecting(situation);
    return own('wait_timed_out', exitCodes.trouble, 'Not waited for longer', error.message, advice);
  }
  const detail = error instanceof Error ? error.message : String(error);
  if (error instanceof UsageError) {
    const advice = situation.help === undefined ? [] : [situation.help];
    return own('usage', exitCodes.usage, 'Wrong usage', detail, advice);
  }
  if (error instanceof NoCredential) {
    return own('no_credential', exitCodes.forbidden, 'Not authenticated', detail, []);
  }
  if (error instanceof SaveError) {
    return own('not_saved', exitCodes.failed, 'Not saved', detail, collecting(situation));
  }
  if (error instanceof Interrupted) {
    return own('interrupted', exitCodes.interrupted, 'Interrupted', detail, []);
  }
  return own('unexpected', exitCodes.failed, 'Unexpected error', detail, collecting(situation));
}

function refused(error: ForemanError, situation: Situation): Fault {
  const { status, code, message: detail, correlationId, problem } = error;
  const about = {
    type: 'about:blank',
    title: `Answered with ${status}`,
    status,
    ...(correlationId === null ? {} : { correlation_id: correlationId }),
    ...problem,
    code,
    detail,
  };
  const exitCode = exitCodeOfStatus(status, code);
  return { exitCode, problem: about, advice: adviceFor(error, situation) };
}

const REQUESTS = ['`foreman list` shows your requests; those of others are not found.'];

/** Where an id that is not found may be looked up, by command. */
const lists: Readonly<Record<string, readonly string[]>> = {
  get: REQUESTS,
  cancel: REQUESTS,
  webhooks: [
    '`foreman webhooks list` shows your endpoints; those of others are not found.',
    '`foreman webhooks deliveries <id>` shows what was sent to one.',
  ],
  keys: ["`foreman keys list <user>` shows a user's keys; `GET /v1/admin/users` has the users."],
};

function adviceFor(
  { status, code, retryAfterMs }: ForemanError,
  situation: Situation,
): readonly string[] {
  if (status === 401) {
    return [
      'Give a key that is valid there: --key or FOREMAN_API_KEY; for keys, --token or FOREMAN_ADMIN_TOKEN.',
    ];
  }
  if (code === 'unknown_model') return ['`foreman models` shows those there are.'];
  if (code === 'idempotency_mismatch')
    return ['Use another --idempotency-key, or ask for the same again.'];
  if (code === 'unexpected_answer') {
    return [
      `Look whether ${situation.url} is Foreman's address; --url or FOREMAN_URL names another.`,
      ...(status >= 500 ? collecting(situation) : []),
    ];
  }
  if (status === 404) return lists[situation.command ?? ''] ?? [];
  const later = retryAfterMs === null ? 'later' : `in ${durationText(retryAfterMs)}`;
  if (status === 429) return [`Try again ${later}.`];
  return status >= 500 ? [`Try again ${later}.`, ...collecting(situation)] : [];
}

function ended(request: ForemanRequest, { isKeyGiven = false }: Situation): Fault {
  const { error, status, id } = request;
  const detail = `The request ${id} ended as ${status}${error === null ? '.' : `: ${error.message}`}`;
  const isRetryable = error?.details.retryable === true;
  return {
    exitCode: exitCodes.failed,
    problem: {
      type: 'about:blank',
      title: 'No image',
      code: error?.code ?? status,
      detail,
      request,
    },
    advice: [
      `\`foreman get ${id}\` shows every attempt.`,
      ...(isRetryable ? ['Trying once more may help.'] : []),
      ...(isKeyGiven
        ? ['This --idempotency-key leads to it; another one, or none, makes a new request.']
        : []),
    ],
  };
}

const own = (
  code: string,
  exitCode: ExitCode,
  title: string,
  detail: string,
  advice: readonly string[],
): Fault => ({ exitCode, problem: { type: 'about:blank', title, code, detail }, advice });

const collecting = ({ collectBy }: Situation) =>
  collectBy.map((command) => `What may have been made is collected by: ${command}`);

/** Node's fetch says "fetch failed" and has what happened as the cause of that. */
function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return '';
  const { code } = cause as { code?: unknown };
  if (typeof code === 'string') return code;
  return reasonOf(cause.cause) || cause.message;
}

/** Members of a problem are as documented, or not there. */
const listIn = <Item>(member: unknown) => (Array.isArray(member) ? (member as Item[]) : []);

export function renderFault({ problem, advice }: Fault, paint: Paint): string {
  const { correlation_id: correlationId } = problem;
  const fields = listIn<{ path: string; message: string }>(problem.errors);
  const targets = listIn<{ provider: string; model: string; reason: string }>(problem.targets);
  const lines = [
    `${paint('red', 'error:')} ${plain(problem.detail)} ${paint('dim', `(${plain(problem.code)})`)}`,
    ...fields.map(({ path, message }) => `  ${plain(path)}: ${plain(message)}`),
    ...targets.map((each) => `  ${plain(`${each.provider}/${each.model}: ${each.reason}`)}`),
    ...advice.map((sentence) => `  ${plain(sentence)}`),
    ...(typeof correlationId === 'string'
      ? [paint('dim', `  correlation id: ${plain(correlationId)}`)]
      : []),
  ];
  return lines.map((line) => `${line}\n`).join('');
}
