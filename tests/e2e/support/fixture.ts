/** A server with another Worker on the same bindings: what a test needs that no setting gives. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createApi } from './api.ts';
import type { FixtureReport } from './fixture-server.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const NODE = join(ROOT, 'node_modules/.bin/node');

export interface Fixture {
  readonly origin: string;
  /** Of a user of its own. */
  readonly key: string;
  stop(): Promise<void>;
}

/** @param main Folder of the Worker, from the repository's. */
export async function startFixture(main: string, stateDir: string): Promise<Fixture> {
  const child = fork(join(import.meta.dirname, 'fixture-server.ts'), [main, stateDir], {
    cwd: ROOT,
    execPath: NODE,
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const exited = once(child, 'exit');
  const started = once(child, 'message') as Promise<[FixtureReport]>;
  const [report] = await Promise.race([
    started,
    exited.then(() => Promise.reject(new Error(`The server of ${main} did not start.`))),
  ]);
  const admin = createApi({ origin: report.origin, key: report.adminToken });
  const user = await admin.post<{ id: string }>('/v1/admin/users', { name: 'fixture' });
  const path = `/v1/admin/users/${user.body.id}/keys`;
  const { body } = await admin.post<{ key: string }>(path, { name: 'fixture' });
  const stop = async () => {
    child.disconnect();
    await exited;
  };
  return { origin: report.origin, key: body.key, stop };
}
