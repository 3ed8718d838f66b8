/** The crons of the local server, beside a Worker whose log is always full. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NoisyReport } from './support/noisy-server.ts';
import { until } from './support/until.ts';

/** Beyond this an answer counts as a hang. */
const PATIENCE_MS = 10_000;
const CALLERS = 4;

let folder: string;
let server: ChildProcess;
let report: NoisyReport | null = null;
let noise: Promise<unknown>;
let isOver = false;

const crons = () => report?.crons ?? 0;

/** Without a client that would see to the `Host` itself. */
function statusOf(headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const options = { method: 'POST', headers, agent: false, timeout: PATIENCE_MS };
    const request = httpRequest(report?.origin ?? '', options, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.once('timeout', () => request.destroy(new Error(`no answer in ${PATIENCE_MS} ms`)));
    request.once('error', reject);
    request.end('0 0 1 1 *');
  });
}

async function keepBusy(): Promise<void> {
  while (!isOver) await statusOf({}).catch(() => new Promise((done) => setTimeout(done, 20)));
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'foreman-crons-'));
  server = fork(join(import.meta.dirname, 'support/noisy-server.ts'), [folder], {
    stdio: 'ignore',
  });
  server.on('message', (message) => {
    report = message as NoisyReport;
  });
  await until('it listens', () => report !== null);
  noise = Promise.all(Array.from({ length: CALLERS }, keepBusy));
});

afterAll(async () => {
  isOver = true;
  const exited = once(server, 'exit');
  server.kill('SIGKILL');
  await exited;
  await noise;
  await rm(folder, { recursive: true, force: true });
});

describe('a Worker whose log is always full', () => {
  it('answers, and its crons run', async () => {
    const before = crons();
    await until('ten crons have run', () => crons() >= before + 10, PATIENCE_MS);
    expect(await statusOf({})).toBe(200);
  });

  it('does both again after its runtime was killed', async () => {
    process.kill(Number(await readFile(join(folder, 'workerd.pid'), 'utf8')), 'SIGKILL');
    await until('it answers', () =>
      statusOf({}).then(
        (status) => status === 200,
        () => false,
      ),
    );
    const before = crons();
    await until('ten crons have run', () => crons() >= before + 10, PATIENCE_MS);
  });

  it('has crons that no client can run', async () => {
    expect([
      await statusOf({ host: 'crons.invalid' }),
      await statusOf({ host: 'crons.invalid', authorization: 'undefined' }),
      await statusOf({ 'mf-route-override': 'crons' }),
    ]).toEqual([404, 404, 404]);
  });
});
