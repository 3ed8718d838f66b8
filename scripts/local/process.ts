// The local server as a process of its own, for tests that stop or kill it as an operator, a crash or
// the system would.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { repositoryDir } from './settings.ts';

// A first start builds the Worker; on a busy two-core machine that takes several seconds.
const START_LIMIT_MS = 60_000;

export interface ServerProcess {
  origin: string;
  apiKey: string;
  pid: number;
  /** Everything the process has written, the Worker's log included. */
  output(): string;
  /** Signals the server and its children at once, and resolves when the server has exited. */
  kill(signal?: NodeJS.Signals): Promise<void>;
}

export async function spawnLocalServer(options: {
  /** 0 takes any free port; give one to start again at the same address. */
  port: number;
  stateDir: string;
  /** Settings over .dev.vars, as an operator's environment gives them. */
  environment?: Record<string, string>;
}): Promise<ServerProcess> {
  const child = spawn(process.execPath, [join(repositoryDir, 'scripts/start.ts')], {
    cwd: repositoryDir,
    // Leader of its own process group, so that one kill reaches its children too.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      ...options.environment,
      PORT: String(options.port),
      FOREMAN_STATE: options.stateDir,
      // The server would take this process for the npm it ends with.
      npm_lifecycle_event: undefined,
    },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const exited = once(child, 'exit');
  const kill = async (signal: NodeJS.Signals = 'SIGTERM') => {
    const running = child.exitCode === null && child.signalCode === null;
    if (running && child.pid !== undefined) process.kill(-child.pid, signal);
    await exited;
  };

  const deadline = Date.now() + START_LIMIT_MS;
  for (;;) {
    const origin = /^Foreman listens on (\S+)$/m.exec(output)?.[1];
    const apiKey = /^API key: (\S+)$/m.exec(output)?.[1];
    if (origin !== undefined && apiKey !== undefined && child.pid !== undefined) {
      return { origin, apiKey, pid: child.pid, output: () => output, kill };
    }
    const ended = child.exitCode !== null || child.signalCode !== null;
    if (ended || Date.now() > deadline) {
      await kill('SIGKILL');
      throw new Error(`The server did not start:\n${output}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
