/**
 * A user's webhook endpoints, as every change looks at them: rows that are read once and then kept in
 * memory, since each event of each request is held against all of them.
 */
import * as accounts from '../accounts/limits';
import type { EndpointId } from '../platform/ids';
import * as rows from '../webhooks/endpoints/rows';
import { signingSecrets } from '../webhooks/endpoints/secrets';
import type { Endpoint, MadeSecret } from '../webhooks/endpoints/types';
import type { Desk } from './desk';

type Shelf = Pick<Desk, 'sql' | 'memory'>;

/** Oldest first, the disabled ones too. Of a user who is being deleted there are none. */
export function endpointsOf({ sql, memory }: Shelf): readonly Endpoint[] {
  if (memory.deletion) return [];
  memory.endpoints ??= rows.getList(sql);
  return memory.endpoints;
}

/** Any text may be asked for; null for what is no endpoint of this user. */
export const endpointOf = (desk: Shelf, id: string): Endpoint | null =>
  endpointsOf(desk).find((endpoint) => endpoint.id === id) ?? null;

export function saveEndpoint({ sql, memory }: Shelf, endpoint: Endpoint): void {
  rows.saveOne(sql, endpoint);
  memory.endpoints = null;
}

export function removeEndpoint({ sql, memory }: Shelf, id: EndpointId): void {
  rows.deleteOne(sql, id);
  memory.endpoints = null;
}

/** What signs a delivery now, newest first; none when its endpoint is gone. */
export function secretsFor(
  desk: Shelf & Pick<Desk, 'now'>,
  { endpointId }: { readonly endpointId: EndpointId | null },
): readonly string[] {
  if (endpointId !== null) {
    return signingSecrets(endpointOf(desk, endpointId)?.secrets ?? [], desk.now);
  }
  const account = accounts.loadAccount(desk.sql);
  return account ? signingSecrets(defaultSecrets(account), desk.now) : [];
}

/** Those of requests that name a URL themselves, newest first. */
export function defaultSecrets(
  account: Pick<accounts.StoredAccount, 'webhookSecret' | 'webhookSecretRotation'>,
): readonly MadeSecret[] {
  const { webhookSecret: secret, webhookSecretRotation: last } = account;
  const newest = { secret, expiresAt: null, madeBy: last?.madeBy ?? null };
  return [newest, ...(last?.previous ? [last.previous] : [])];
}
