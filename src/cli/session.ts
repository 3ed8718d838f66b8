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
        required(options.key ?? env.FOREMAN_API_KEY, {
          what: 'No API key',
          how: 'set FOREMAN_API_KEY or give --key. `npm start` prints one for a server on this machine',
        }),
      ),
    operator: () =>
      connect(
        required(options.token ?? env.FOREMAN_ADMIN_TOKEN, {
          what: "No operator's token",
          how: 'set FOREMAN_ADMIN_TOKEN or give --token. It is ADMIN_TOKEN of the server',
        }),
      ),
  };
}

function required(value: string | undefined, { what, how }: { what: string; how: string }): string {
  if (value) return value;
  throw new NoCredential(`${what}: ${how}.`);
}

function checkedUrl(text: string): string {
  const isHttp = URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
  if (isHttp) return text;
  throw new UsageError(`"${text}" is no http or https address; see --url and FOREMAN_URL.`);
}
