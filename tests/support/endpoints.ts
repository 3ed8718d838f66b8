/** Webhook endpoints of a user, made as a client makes them, and what is on its way to them. */
import { newId } from '../../src/platform/ids';
import * as deliveries from '../../src/webhooks/deliveries';
import type { Endpoint } from '../../src/webhooks/endpoints/types';
import type { Delivery, DeliveryResult } from '../../src/webhooks/types';
import { inForeman, type Tenant } from './foreman';

export function endpointOf({ userId }: Pick<Tenant, 'userId'>, overrides: Partial<Endpoint> = {}) {
  const now = Date.now();
  const id = newId('whk', now);
  const secret = `whsec_${btoa(crypto.randomUUID().slice(0, 32))}`;
  const endpoint: Endpoint = {
    ...{ id, userId, url: `https://hooks.example.com/${id}`, description: '', disabled: null },
    secrets: [{ secret, createdAt: now, madeBy: null, expiresAt: null }],
    rotations: [],
    events: ['*'],
    ...{ failingSince: null, madeBy: null, createdAt: now, updatedAt: now },
    ...overrides,
  };
  return endpoint;
}

export async function newEndpoint(tenant: Tenant, overrides: Partial<Endpoint> = {}) {
  const endpoint = endpointOf(tenant, overrides);
  const { foreman, credential } = tenant;
  const answer = await foreman.createEndpoint({ credential, endpoint });
  if (!('endpoint' in answer)) throw new Error('expected an endpoint');
  return endpoint;
}

export const answered = (status: number, retryAfterMs: number | null = null): DeliveryResult => ({
  ...{ status, durationMs: 3, response: '', retryAfterMs },
});

/** Oldest first, finished ones until D1 has them. */
export const deliveriesIn = (tenant: Tenant): Promise<Delivery[]> =>
  inForeman(tenant, (sql) =>
    sql
      .exec<{ id: Delivery['id'] }>('SELECT id FROM deliveries ORDER BY id')
      .toArray()
      .flatMap(({ id }) => deliveries.getOne(sql, id) ?? []),
  );
