/**
 * What clients ask of their foreman beside their requests. Each entry is one transaction, allowed to
 * a credential with the scope it names; the object and its stub take them from this table.
 */
import * as accounts from '../accounts/limits';
import { describe } from '../accounts/me/view';
import type { RequestId } from '../platform/ids';
import * as deliveries from '../webhooks/deliveries';
import { clientCall } from './client-call';
import { endpointCalls } from './endpoint-calls';
import { grantCalls } from './grant-calls';
import { imageCalls } from './image-calls';
import { logCalls } from './log-calls';

export const clientCalls = {
  me: clientCall('requests:read', (desk, { credential }, grant) => {
    const { active: running, waiting } = desk.memory;
    return describe(desk, { credential, grant, running, waiting });
  }),
  /** Deliveries of one request that are still here, oldest first. */
  deliveriesOf: clientCall('requests:read', (desk, { id }: { readonly id: RequestId }) =>
    deliveries.getOfRequest(desk.sql, id),
  ),
  defaultWebhookSecret: clientCall('requests:write', (desk) => {
    const account = accounts.loadAccount(desk.sql);
    return account && { secret: account.webhookSecret };
  }),
  ...endpointCalls,
  ...grantCalls,
  ...imageCalls,
  ...logCalls,
};

export type CallName = keyof typeof clientCalls;
type RunOf<N extends CallName> = (typeof clientCalls)[N]['run'];
export type CallInput<N extends CallName> = Parameters<RunOf<N>>[1];
export type CallAnswer<N extends CallName> = ReturnType<RunOf<N>>;
