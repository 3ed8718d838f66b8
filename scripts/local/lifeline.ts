// Ties workerd's life to this process's. workerd outlives a parent that is killed with SIGKILL: it
// would keep the port and go on with the same state beside the next server. A shell holds the end of
// a pipe from this process; when the pipe closes, however that came about, it kills workerd.
import { spawn } from 'node:child_process';
import { chmodSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Lifeline {
  /** What workerd must find in its environment to be tied to this process. */
  runtimeEnvironment: Record<string, string>;
  release(): void;
}

const NO_LIFELINE: Lifeline = { runtimeEnvironment: {}, release: () => {} };

export function tieRuntime(stateDir: string): Lifeline {
  if (process.platform === 'win32') return NO_LIFELINE;
  const launcher = fileURLToPath(new URL('./workerd.sh', import.meta.url));
  const pidFile = join(stateDir, 'workerd.pid');
  rmSync(pidFile, { force: true });
  // An archive may have lost the mode that git keeps.
  chmodSync(launcher, 0o755);
  process.env.MINIFLARE_WORKERD_PATH = launcher;

  const watcher = spawn(
    '/bin/sh',
    ['-c', `trap '' INT TERM HUP; read -r _; kill -9 "$(cat "$0")"`, pidFile],
    { stdio: ['pipe', 'ignore', 'ignore'] },
  );
  watcher.unref();
  return {
    runtimeEnvironment: { FOREMAN_WORKERD: workerdPath(), FOREMAN_WORKERD_PID: pidFile },
    release: () => {
      watcher.kill('SIGKILL');
    },
  };
}

/** The workerd that belongs to the installed miniflare. */
function workerdPath(): string {
  const miniflare = createRequire(import.meta.url).resolve('miniflare');
  const workerd: { default: string } = createRequire(miniflare)('workerd');
  return workerd.default;
}
