/** Equal requests of one tenant, and what becomes of them. */
import { expect } from 'vitest';
import { newId } from '../../src/platform/ids';
import type { JsonObject } from '../../src/platform/json';
import type { AttemptResult, RequestId, RequestSpec, RequestState } from '../../src/requests/types';
import { accepted, inForeman, makeDue, newSpec, stateOf, type Tenant } from './foreman';

export const HOUR = 3_600_000;
export const equal = { reuseKey: 'the same', idempotencyKey: null };

export const same = (tenant: Tenant, overrides: Partial<RequestSpec> = {}) =>
  accepted(tenant, { ...equal, ...overrides });

/** As many as are asked for, in one transaction, the oldest first. */
export async function sameMany(tenant: Tenant, count: number): Promise<RequestId[]> {
  const { foreman, credential, userId } = tenant;
  const now = Date.now();
  const submissions = Array.from({ length: count }, (_, index) => {
    const createdAt = now + index;
    const spec = newSpec(userId, { ...equal, id: newId('req', createdAt), createdAt });
    return { credential, spec, warnings: [], fingerprint: 'fingerprint' };
  });
  const answers = await foreman.submitAll(submissions);
  return answers.flatMap((answer) => (answer.outcome === 'accepted' ? [answer.state.id] : []));
}

export function outputOf(id: RequestId, lifeMs = 24 * HOUR): JsonObject {
  const createdAt = Date.now();
  const image = {
    id: `img_${id.slice(4)}_1_0`,
    width: 64,
    height: 64,
    mediaType: 'image/png',
    bytes: 70,
    sha256: 'ab'.repeat(32),
    seed: 7,
    createdAt,
    expiresAt: createdAt + lifeMs,
  };
  return { images: [image] };
}

export const successWith = (
  output: JsonObject,
  warnings: readonly string[] = [],
): AttemptResult => ({
  outcome: 'succeeded',
  output,
  costMicros: 42_000,
  providerRequestId: null,
  warnings,
});

/** One call, as a consumer makes it. */
export async function make(tenant: Tenant, id: RequestId, result: AttemptResult): Promise<void> {
  const { release } = await stateOf(tenant, id);
  const token = crypto.randomUUID();
  const claimed = await tenant.foreman.claim({ request: id, release, token, verdicts: {} });
  expect(claimed.verdict).toBe('run');
  await tenant.foreman.settle({
    request: id,
    token,
    attempt: 1,
    result,
    nextToken: null,
    verdicts: {},
  });
}

export const succeed = (tenant: Tenant, id: RequestId, lifeMs?: number) =>
  make(tenant, id, successWith(outputOf(id, lifeMs)));

/** What a request waits for or has become, and whose end it shares. */
export function standing(state: RequestState): [string, RequestId | null] {
  return [state.status === 'queued' ? state.wait.for : state.status, state.reusedFrom];
}

export const standingOf = async (tenant: Tenant, id: RequestId) =>
  standing(await stateOf(tenant, id));

/** Who makes, or has made, what each key stands for. */
export const makersOf = (tenant: Tenant) =>
  inForeman(tenant, (sql) =>
    sql
      .exec<{ id: RequestId }>('SELECT request_id AS id FROM reusable')
      .toArray()
      .map(({ id }) => id),
  );

export async function expire(tenant: Tenant, id: RequestId): Promise<void> {
  await inForeman(tenant, (sql) =>
    sql
      .exec("UPDATE requests SET state = json_set(state, '$.deadlineAt', 1) WHERE id = ?", id)
      .toArray(),
  );
  await makeDue(tenant, id);
}
