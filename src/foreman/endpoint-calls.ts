/**
 * What a user does to its webhook endpoints and to the secrets that sign. Whoever calls brings the ids
 * and the secrets, so that a call which is made again finds its work done.
 */
import { admitCall } from '../accounts/admission';
import { auditEvent, byOf } from '../accounts/audit/event';
import { createAudit } from '../accounts/audit/rows';
import * as accounts from '../accounts/limits';
import type { Credential, Refusal } from '../accounts/types';
import type { JsonObject } from '../platform/json';
import * as deliveries from '../webhooks/deliveries';
import { isReplay, madeBefore, remembered, rotated } from '../webhooks/endpoints/secrets';
import {
  type Endpoint,
  type EndpointChanges,
  type EndpointSecret,
  MAX_ENDPOINTS,
  type RotationRefusal,
  type SecretRotation,
} from '../webhooks/endpoints/types';
import type { FinishedDelivery } from '../webhooks/types';
import { clientCall } from './client-call';
import type { Desk } from './desk';
import { disableEndpoint, enableEndpoint } from './endpoint-status';
import { defaultSecrets, endpointOf, endpointsOf, removeEndpoint, saveEndpoint } from './endpoints';
import { keepDelivery } from './lanes';
import { endDeliveriesOf } from './telling';
import { wakeProjector } from './waking';

interface Named {
  readonly id: string;
}

export type CreateEndpointAnswer =
  | { readonly endpoint: Endpoint; readonly replayed: boolean }
  | { readonly refusal: 'mismatch' | 'too_many' };

export type RotateEndpointAnswer =
  /** `secret`: the one that this rotation has made; another may have followed it. */
  { readonly endpoint: Endpoint; readonly secret: string } | { readonly refusal: RotationRefusal };

export type RotateDefaultAnswer =
  | { readonly secret: string; readonly previousExpiresAt: number | null }
  | { readonly refusal: RotationRefusal };

export type PingAnswer =
  | { readonly endpoint: Endpoint }
  | { readonly refusal: Refusal; readonly at: number };

export const endpointCalls = {
  createEndpoint: clientCall('requests:write', createEndpoint),

  listEndpoints: clientCall('requests:read', (desk) => ({ endpoints: endpointsOf(desk) })),

  getEndpoint: clientCall('requests:read', (desk, { id }: Named) => endpointOf(desk, id)),

  /** For whoever is to change it. */
  endpointToChange: clientCall('requests:write', (desk, { id }: Named) => endpointOf(desk, id)),

  endpointToPing: clientCall('requests:write', endpointToPing),

  changeEndpoint: clientCall('requests:write', changeEndpoint),

  /** It may be gone already. Its deliveries end, but for a POST that is under way. */
  deleteEndpoint: clientCall('requests:write', (desk, { id, credential }: Acted & Named) => {
    const endpoint = endpointOf(desk, id);
    if (!endpoint) return {};
    removeEndpoint(desk, endpoint.id);
    endDeliveriesOf(desk, endpoint.id, 'endpoint_deleted');
    record(desk, { action: 'webhook.deleted', endpoint, credential });
    return {};
  }),

  rotateEndpointSecret: clientCall('requests:write', rotateEndpointSecret),

  rotateDefaultSecret: clientCall('requests:write', rotateDefaultSecret),

  disableEndpoint: clientCall('requests:write', (desk, { id, credential }: Acted & Named) => {
    const endpoint = endpointOf(desk, id);
    return (
      endpoint && disableEndpoint(desk, endpoint, { reason: 'requested', by: byOf(credential) })
    );
  }),

  keepPing: clientCall(
    'requests:write',
    (desk, { ping }: { readonly ping: FinishedDelivery & Pinged }) => {
      if (!endpointOf(desk, ping.endpointId)) return null;
      keepPing(desk, ping);
      return {};
    },
  ),

  /** Enabled by a ping that was delivered to where it is now. */
  enableEndpoint: clientCall(
    'requests:write',
    (desk, { ping, credential }: Acted & { readonly ping: FinishedDelivery & Pinged }) => {
      const endpoint = endpointOf(desk, ping.endpointId);
      if (!endpoint) return null;
      keepPing(desk, ping);
      if (ping.status !== 'delivered') return { endpoint };
      if (endpoint.url !== ping.url) return { endpoint: null };
      return { endpoint: enableEndpoint(desk, endpoint, byOf(credential)) };
    },
  ),
};

interface Acted {
  readonly credential: Credential;
}

interface Pinged {
  readonly endpointId: Endpoint['id'];
}

function createEndpoint(
  desk: Desk,
  { endpoint, credential }: Acted & { readonly endpoint: Endpoint },
): CreateEndpointAnswer {
  const endpoints = endpointsOf(desk);
  const same = endpoints.find(({ id }) => id === endpoint.id);
  if (same) return { endpoint: same, replayed: false };
  const { madeBy } = endpoint;
  const first = endpoints.find((other) =>
    isReplay({ madeBy: other.madeBy?.key ?? null, at: other.createdAt }, madeBy?.key ?? null, desk),
  );
  if (first) {
    if (first.madeBy?.fingerprint !== madeBy?.fingerprint) return { refusal: 'mismatch' };
    return { endpoint: first, replayed: true };
  }
  if (endpoints.length >= MAX_ENDPOINTS) return { refusal: 'too_many' };
  saveEndpoint(desk, endpoint);
  const details = { host: hostOf(endpoint), events: [...endpoint.events] };
  record(desk, { action: 'webhook.created', endpoint, credential, details });
  return { endpoint, replayed: false };
}

/** A ping is a call that we make to wherever a user likes, so it counts against the user's rate. */
function endpointToPing(desk: Desk, { id }: Named): PingAnswer | null {
  const endpoint = endpointOf(desk, id);
  const account = accounts.loadAccount(desk.sql);
  const usage = accounts.loadUsage(desk.sql);
  if (!endpoint || !account || !usage) return null;
  const { now } = desk;
  const verdict = admitCall({ usage, limits: account.limits, now });
  if (!verdict.admitted) return { refusal: verdict.refusal, at: now };
  accounts.saveUsage(desk.sql, verdict.usage);
  return { endpoint };
}

function changeEndpoint(
  desk: Desk,
  { id, changes, credential }: Acted & Named & { readonly changes: EndpointChanges },
): Endpoint | null {
  const endpoint = endpointOf(desk, id);
  if (!endpoint) return null;
  const { url = endpoint.url, events = endpoint.events } = changes;
  const { description = endpoint.description } = changes;
  const details = {
    ...(url === endpoint.url ? {} : { host: { from: hostOf(endpoint), to: hostOf({ url }) } }),
    ...(events.join() === endpoint.events.join() ? {} : { events: [...events] }),
    ...(description === endpoint.description ? {} : { description: 'changed' }),
  };
  if (Object.keys(details).length === 0) return endpoint;
  // What failed is not what it is now.
  const failingSince = url === endpoint.url ? endpoint.failingSince : null;
  const next = { ...endpoint, url, events, description, failingSince, updatedAt: desk.now };
  saveEndpoint(desk, next);
  record(desk, { action: 'webhook.changed', endpoint, credential, details });
  return next;
}

function rotateEndpointSecret(
  desk: Desk,
  { id, rotation, credential }: Acted & Named & { readonly rotation: SecretRotation },
): RotateEndpointAnswer | null {
  const endpoint = endpointOf(desk, id);
  if (!endpoint) return null;
  const made = madeBefore(endpoint, rotation, desk.now);
  if (made) return 'refusal' in made ? made : { endpoint, secret: made.secret };
  const { overlapMs, secret, madeBy } = rotation;
  const next: EndpointSecret = { secret, madeBy, createdAt: desk.now, expiresAt: null };
  const secrets = rotated(endpoint.secrets, next, { overlapMs, now: desk.now });
  const rotations = remembered(endpoint.rotations, rotation, desk.now);
  const changed = { ...endpoint, secrets, rotations, updatedAt: desk.now };
  saveEndpoint(desk, changed);
  const details = { overlap_seconds: overlapMs / 1_000 };
  record(desk, { action: 'webhook.secret_rotated', endpoint, credential, details });
  return { endpoint: changed, secret };
}

/** What signs now, and until when the one before it does. Null without an account. */
function rotateDefaultSecret(
  desk: Desk,
  { rotation, credential }: Acted & { readonly rotation: SecretRotation },
): RotateDefaultAnswer | null {
  const account = accounts.loadAccount(desk.sql);
  if (!account) return null;
  const last = account.webhookSecretRotation;
  const before = { secrets: defaultSecrets(account), rotations: last?.rotations ?? [] };
  const made = madeBefore(before, rotation, desk.now);
  if (made) {
    const previousExpiresAt = last?.previous?.expiresAt ?? null;
    return 'refusal' in made ? made : { secret: made.secret, previousExpiresAt };
  }
  const { secret, overlapMs, madeBy } = rotation;
  const overlap = { overlapMs, now: desk.now };
  const [, old] = rotated(before.secrets, { secret, expiresAt: null, madeBy }, overlap);
  const expiresAt = old?.expiresAt ?? null;
  const previous = old && expiresAt !== null ? { ...old, expiresAt } : null;
  const rotations = remembered(before.rotations, rotation, desk.now);
  const webhookSecretRotation = { at: desk.now, madeBy, previous, rotations };
  accounts.saveAccount(desk.sql, { ...account, webhookSecret: secret, webhookSecretRotation });
  const details = { overlap_seconds: overlapMs / 1_000 };
  const what = { userId: account.userId, target: null, details };
  createAudit(
    desk.sql,
    auditEvent(byOf(credential), { action: 'webhook.secret_rotated', ...what }, desk.now),
  );
  return { secret, previousExpiresAt: expiresAt };
}

function keepPing(desk: Desk, ping: FinishedDelivery): void {
  if (deliveries.getOne(desk.sql, ping.id)) return;
  keepDelivery(desk, null, ping);
  wakeProjector(desk, ping.userId);
}

/** A URL may have a secret in its path: the record has its host only. */
const hostOf = ({ url }: Pick<Endpoint, 'url'>) => new URL(url).host;

function record(
  desk: Desk,
  what: {
    readonly action:
      | 'webhook.created'
      | 'webhook.changed'
      | 'webhook.deleted'
      | 'webhook.secret_rotated';
    readonly endpoint: Endpoint;
    readonly credential: Credential;
    readonly details?: JsonObject;
  },
): void {
  const { action, endpoint, credential, details = { host: hostOf(endpoint) } } = what;
  const event = { action, userId: endpoint.userId, target: endpoint.id, details };
  createAudit(desk.sql, auditEvent(byOf(credential), event, desk.now));
}
