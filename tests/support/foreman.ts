/** A user with a real foreman object, a key, and calls as a client or a consumer makes them. */
import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import type { Me } from '../../src/accounts/me/view';
import type { NewAccount } from '../../src/accounts/tenancy';
import {
  type By,
  DEFAULT_LIMITS,
  type KeyCredential,
  type KeyRecord,
  type Limits,
} from '../../src/accounts/types';
import type { SubmitAnswer } from '../../src/foreman/intake';
import type { Foreman } from '../../src/foreman/object';
import { foremanFor, stubOf } from '../../src/foreman/stub';
import { newId, type RequestId, type UserId } from '../../src/platform/ids';
import type { RequestSpec } from '../../src/requests/types';
import { specOf } from './states';

const SECRET_HASH = 'ab'.repeat(32);

/** The operator, at a test. */
export const by: By = {
  actor: { type: 'operator', id: null },
  from: { address: '192.0.2.1', correlationId: 'correlation-1' },
};

export async function newTenant(limits: Partial<Limits> = {}) {
  const now = Date.now();
  const userId = newId('usr', now);
  const credential: KeyCredential = {
    via: 'key',
    userId,
    from: by.from,
    keyId: newId('key', now),
    secretHash: SECRET_HASH,
  };
  const foreman = foremanFor(env, userId);
  const account: NewAccount = {
    userId,
    name: 'tenant',
    externalId: null,
    region: null,
    status: 'active',
    limits: { ...DEFAULT_LIMITS, ...limits },
    webhookSecret: 'whsec_dGVzdC1zZWNyZXQtMDEyMzQ1Njc4OWFiY2RlZg==',
    createdAt: now,
  };
  await foreman.createAccount({ account, by });
  const key: KeyRecord = {
    id: credential.keyId,
    name: 'test',
    scopes: ['requests:read', 'requests:write'],
    secretHash: SECRET_HASH,
    macVersion: 1,
    createdAt: now,
    expiresAt: null,
    revokedAt: null,
    lastUsedAt: null,
    replaces: null,
  };
  await foreman.addKey({ key, by });
  return { userId, credential, foreman, stub: stubOf(env, userId) };
}
export type Tenant = Awaited<ReturnType<typeof newTenant>>;

/** A sketch unless told otherwise; created now. */
export function newSpec(userId: UserId, overrides: Partial<RequestSpec> = {}): RequestSpec {
  const now = Date.now();
  return specOf({
    id: newId('req', now),
    userId,
    model: 'sketch',
    createdAt: now,
    deadlineAt: now + 900_000,
    ...overrides,
  });
}

export function submitTo(
  { foreman, credential, userId }: Tenant,
  overrides: Partial<RequestSpec> = {},
  fingerprint = 'fingerprint',
): Promise<SubmitAnswer> {
  const spec = newSpec(userId, overrides);
  return foreman.submit({ credential, spec, warnings: [], fingerprint });
}

/** @throws Error when it was not accepted. */
export async function accepted(
  tenant: Tenant,
  overrides: Partial<RequestSpec> = {},
): Promise<RequestId> {
  const answer = await submitTo(tenant, overrides);
  if (answer.outcome !== 'accepted') throw new Error(`expected accepted: ${answer.outcome}`);
  return answer.state.id;
}

export async function stateOf({ foreman, credential }: Tenant, id: RequestId) {
  const answer = await foreman.read({ credential, id });
  if (answer.outcome !== 'found') throw new Error(`expected found: ${answer.outcome}`);
  return answer.state;
}

/** Makes the stored due time of a request lie in the past, and runs the object's alarm. */
export async function makeDue(tenant: Tenant, id: RequestId): Promise<void> {
  await inForeman(tenant, (sql) => {
    sql.exec('UPDATE requests SET due_at = 1 WHERE id = ?', id);
  });
  await runAlarm(tenant);
}

/** Runs the alarm now, whatever it is set to. One that is due could be under way by itself. */
export async function runAlarm(tenant: Tenant): Promise<void> {
  const later = Date.now() + 3_600_000;
  await runInDurableObject(tenant.stub, (_: Foreman, state) => state.storage.setAlarm(later));
  await runDurableObjectAlarm(tenant.stub);
}

export function inForeman<T>(tenant: Tenant, work: (sql: SqlStorage) => T): Promise<T> {
  return runInDurableObject(tenant.stub, (_: Foreman, state) => work(state.storage.sql));
}

/** What the account uses of its limits. @throws Error for a credential that may not read. */
export async function usageOf({ foreman, credential }: Tenant): Promise<Me['usage']> {
  const me = await foreman.me({ credential });
  if (me === null || 'outcome' in me) throw new Error('expected an account');
  return me.usage;
}
