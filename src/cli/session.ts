/** What every command is given: where it speaks, whom it asks, and how it was called. */
import { Foreman } from '../client/foreman';
import { NoCredential, UsageError } from './fault';
import type { Output } from './output';
import type { Terminal } from './terminal';

/** Where `npm start` listens. */
export const DEFAULT_URL = 'http://127.0.0.1:8787';

export interface GlobalOptions {
  readonly url?: string;
  readonly key?: string;
  readonly token?: string;
  readonly json?: boolean;
}

export interface Session {
  readonly terminal: Terminal;
  readonly output: Output;
  /** The command line as it was typed. */
  readonly words: readonly string[];
  readonly situation: SituationSoFar;
  /** @throws NoCredential without a key. */
  foreman(): Foreman;
  /** With the operator's token. @throws NoCredential without one. */
  operator(): Foreman;
}

/** Grows as the command goes on, for whoever explains its failure. */
export interface SituationSoFar {
  url: string;
  requestId?: string | undefined;
  idempotencyKey?: string | undefined;
  isKeyGiven?: boolean | undefined;
  command?: string | undefined;
  collectBy: readonly string[];
}

export const urlOf = ({ url }: GlobalOptions, env: Terminal['env']): string =>
  url || env.FOREMAN_URL || DEFAULT_URL;

export function createSession(input: {
  readonly terminal: Terminal;
  readonly output: Output;
  readonly words: readonly string[];
  readonly options: GlobalOptions;
  readonly situation: SituationSoFar;
  /** The global one when left out. */
  readonly fetch?: typeof fetch | undefined;
}): Session {
  const { options, situation, fetch, ...rest } = input;
  const { env } = input.terminal;
  const connect = (apiKey: string) =>
    new Foreman({ baseUrl: checkedUrl(situation.url), apiKey, ...(fetch && { fetch }) });
  return {
    ...rest,
    situation,
    foreman: () =>
      connect(
        credential(options.key ?? env.FOREMAN_API_KEY, {
          what: 'API key',
          how: 'set FOREMAN_API_KEY or give --key. `npm start` prints one for a server on this machine',
        }),
      ),
    operator: () =>
      connect(
        credential(options.token ?? env.FOREMAN_ADMIN_TOKEN, {
          what: "operator's token",
          how: 'set FOREMAN_ADMIN_TOKEN or give --token. It is ADMIN_TOKEN of the server',
        }),
      ),
  };
}

/** Looked at here, as `fetch` repeats a header that it refuses, secret and all. */
function credential(
  given: string | undefined,
  { what, how }: { readonly what: string; readonly how: string },
): string {
  // As files that are written on Windows end.
  const value = given?.trim() ?? '';
  if (value === '') throw new NoCredential(`No ${what}: ${how}.`);
  if (/^[\x21-\x7e]+$/.test(value)) return value;
  throw new NoCredential(`The ${what} has characters that none has: ${how}.`);
}

function checkedUrl(text: string): string {
  // `URL.parse` is newer than the oldest Node that this runs on.
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.username || url?.password) {
    throw new UsageError('An address with a name or password in it is not asked; use the key.');
  }
  if (url !== null && /^https?:$/.test(url.protocol)) return text;
  throw new UsageError(`"${text}" is no http or https address; see --url and FOREMAN_URL.`);
}
