/** A server of its own for a test file: own process group, own port, own state, nothing left behind. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../../scripts/local/ports.ts';
import { type ServerProcess, spawnLocalServer } from '../../../scripts/local/process.ts';
import { type Api, createApi } from './api.ts';
import { until } from './until.ts';

export interface Limits {
  requests_per_minute: number;
  burst: number;
  max_running: number;
  max_waiting: number;
  images_per_day: number;
  monthly_budget_usd: number | null;
}

export interface User {
  readonly id: string;
  readonly keyId: string;
  readonly api: Api;
  /** Signs the webhooks of this user's requests. */
  readonly webhookSecret: string;
}

export interface Server {
  readonly origin: string;
  /** Opens the admin API. */
  readonly admin: Api;
  /** The log of every process this server has had. */
  output(): string;
  createUser(limits?: Partial<Limits>): Promise<User>;
  /** SIGKILL to the whole process group, as a crash of the machine would end it. */
  crash(): Promise<void>;
  /** After a crash: the same state, the same address. */
  startAgain(): Promise<void>;
  close(): Promise<void>;
}

const WIDE: Partial<Limits> = { requests_per_minute: 100_000, burst: 10_000, max_running: 50 };

const secret = () => randomBytes(24).toString('hex');

/**
 * A test run that is broken off takes its server along, even when it is killed: a shell holds the end
 * of a pipe from this process, and ends the server's group when the pipe closes.
 */
function tieToThisProcess(pid: number, stateDir: string): { release(): void } {
  const watcher = spawn(
    '/bin/sh',
    ['-c', `trap '' INT TERM HUP; read -r _; kill -9 -- "-$0"; rm -rf "$1"`, String(pid), stateDir],
    { stdio: ['pipe', 'ignore', 'ignore'], detached: true },
  );
  watcher.unref();
  return { release: () => watcher.kill('SIGKILL') };
}

export async function startServer(environment: Record<string, string> = {}): Promise<Server> {
  const stateDir = await mkdtemp(join(tmpdir(), 'foreman-e2e-'));
  const port = await freePort();
  const adminToken = secret();
  const settings = {
    ADMIN_TOKEN: adminToken,
    KEY_SIGNING_SECRET: secret(),
    LINK_SIGNING_SECRET: secret(),
    OPENAI_API_KEY: '',
    PROVIDER_TIMEOUT_MS: '120000',
    ALLOW_LOCAL_URLS: 'true',
    CHAOS_MODELS: 'true',
    DETACH_CALLS: 'true',
    REQUEST_HOT_HOURS: '24',
    IMAGE_RETENTION_DAYS: '30',
    PUBLIC_URL: '',
    ...environment,
  };
  let ended = '';
  let running: ServerProcess | null = null;
  let tie: { release(): void } | null = null;
  const start = async () => {
    running = await spawnLocalServer({ port, stateDir, environment: settings });
    tie = tieToThisProcess(running.pid, stateDir);
  };
  const crash = async () => {
    if (!running) return;
    const { pid, output, kill } = running;
    running = null;
    await kill('SIGKILL');
    await until('every process of the killed group is gone', () => !isGroupAlive(pid));
    tie?.release();
    ended += output();
  };

  try {
    await start();
  } catch (error) {
    await rm(stateDir, { recursive: true, force: true });
    throw error;
  }
  const origin = `http://127.0.0.1:${port}`;
  const admin = createApi({ origin, key: adminToken });
  return {
    origin,
    admin,
    output: () => ended + (running?.output() ?? ''),
    createUser: (limits) => createUser({ origin, admin, limits: { ...WIDE, ...limits } }),
    crash,
    startAgain: start,
    async close() {
      await crash();
      await rm(stateDir, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

async function createUser(input: {
  origin: string;
  admin: Api;
  limits: Partial<Limits>;
}): Promise<User> {
  const { origin, admin, limits } = input;
  const user = await admin.post<{ id: string }>('/v1/admin/users', { name: 'e2e', limits });
  const path = `/v1/admin/users/${user.body.id}/keys`;
  const issued = await admin.post<{ id: string; key: string }>(path, { name: 'e2e' });
  const api = createApi({ origin, key: issued.body.key });
  const { body } = await api.get<{ secret: string }>('/v1/webhooks/default-secret');
  return { id: user.body.id, keyId: issued.body.id, api, webhookSecret: body.secret };
}

function isGroupAlive(pid: number): boolean {
  try {
    process.kill(-pid, 0);
    return true;
  } catch {
    return false;
  }
}
