/** The command line as it is published, as processes of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, rm, symlink } from 'node:fs/promises';
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
  close(): Promise<void>;
}

type Environment = Readonly<Record<string, string>>;

/** Built as `npm run build` does it, and taken from there, as others may be building too. */
export async function buildCommandLine(given: Environment): Promise<CommandLine> {
  const folder = await mkdtemp(join(tmpdir(), 'foreman-cli-'));
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  await succeed(spawn(process.execPath, ['scripts/client/build.ts'], { cwd: ROOT }));
  const main = join(folder, 'main.mjs');
  await copyFile(join(ROOT, 'dist/cli/main.js'), main);
  // Nothing of who runs the tests: their terminal, their key.
  const { PATH = '', HOME = '' } = process.env;
  const base = { PATH, HOME, TERM: 'xterm-256color', ...given };
  const begin = (file: string, words: readonly string[], environment: Environment = {}) =>
    running(spawn(file, words, { cwd: folder, env: { ...base, ...environment } }));
  return {
    folder,
    start: (words, environment) => begin(process.execPath, [main, ...words], environment),
    run: (words, environment) => begin(process.execPath, [main, ...words], environment).ended,
    onTerminal(words, environment) {
      const line = [process.execPath, main, ...words].map((word) => `'${word}'`).join(' ');
      return begin('script', ['-qec', line, '/dev/null'], environment).ended;
    },
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
