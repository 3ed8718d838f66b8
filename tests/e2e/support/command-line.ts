/** The command line as it is published, as processes of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './until.ts';

const ROOT = join(import.meta.dirname, '../../..');

export interface Ended {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  /** Waits until stderr has it. */
  said(text: string): Promise<void>;
  ended: Promise<Ended>;
}

export interface CommandLine {
  /** For files; gone at the end. */
  readonly folder: string;
  start(words: readonly string[], environment?: Environment): Running;
  run(words: readonly string[], environment?: Environment): Promise<Ended>;
  /** On a terminal of its own, by `script` of util-linux; both streams come as one. */
  onTerminal(words: readonly string[], environment?: Environment): Promise<Ended>;
  /** In a shell that goes on as `rest` says, such as `| head -1`. */
  inShell(words: readonly string[], rest: string): Promise<Ended>;
  close(): Promise<void>;
}

/** Starting Node is work for a processor; more than these take it from the server they ask. */
const MOST_AT_ONCE = 4;

type Environment = Readonly<Record<string, string>>;

/**
 * Built as `npm run build` does it, into a folder of its own, where no package is to be found. `given` is
 * waited for at the end: it may be that of a server which is starting meanwhile.
 */
export async function buildCommandLine(given: Promise<Environment>): Promise<CommandLine> {
  const folder = await mkdtemp(join(tmpdir(), 'foreman-cli-'));
  const installed = join(folder, '.foreman');
  await mkdir(installed);
  await writeFile(join(installed, 'package.json'), '{"type": "module"}');
  const dist = join(installed, 'dist');
  await succeed(spawn(process.execPath, ['scripts/client/build.ts', dist], { cwd: ROOT }));
  const main = join(dist, 'cli/main.js');
  // Nothing of who runs the tests: their terminal, their key.
  const { PATH = '', HOME = '' } = process.env;
  const base = { PATH, HOME, TERM: 'xterm-256color', ...(await given) };
  const lineOf = (words: readonly string[]) =>
    [process.execPath, main, ...words].map((word) => `'${word}'`).join(' ');
  const begin = (file: string, words: readonly string[], environment: Environment = {}) =>
    running(spawn(file, words, { cwd: folder, env: { ...base, ...environment } }));
  let busy = 0;
  const waiting: (() => void)[] = [];
  const inTurn = async (...what: Parameters<typeof begin>): Promise<Ended> => {
    if (busy >= MOST_AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
    busy += 1;
    try {
      return await begin(...what).ended;
    } finally {
      busy -= 1;
      waiting.shift()?.();
    }
  };
  return {
    folder,
    start: (words, environment) => begin(process.execPath, [main, ...words], environment),
    run: (words, environment) => inTurn(process.execPath, [main, ...words], environment),
    onTerminal: (words, environment) =>
      inTurn('script', ['-qec', lineOf(words), '/dev/null'], environment),
    inShell: (words, rest) => inTurn('/bin/sh', ['-c', `${lineOf(words)} ${rest}`]),
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

function running(child: ChildProcess): Running {
  const stdout: Buffer[] = [];
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  child.stdin?.end();
  const ended = once(child, 'close').then(([code]) => ({
    code: code as number | null,
    stdout: Buffer.concat(stdout),
    stderr,
  }));
  const said = async (text: string) => {
    await until(`stderr has "${text}"`, () => stderr.includes(text));
  };
  return { child, said, ended };
}

async function succeed(child: ChildProcess): Promise<void> {
  const { code, stderr, stdout } = await running(child).ended;
  if (code !== 0) throw new Error(`It ended with ${code}:\n${stderr}${stdout}`);
}
