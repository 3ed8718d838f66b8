/** Looking into webhook deliveries: pending ones are the foreman's, finished ones D1's. */
import type { Credential } from '../accounts/types';
import { isId, type RequestId } from '../platform/ids';
import { requestNotFound, unavailable } from '../requests/errors';
import type { RequestService } from '../requests/service';
import type { Delivery } from './types';

type Named = { readonly credential: Credential; readonly id: RequestId };

export interface WebhookService {
  /** Oldest first. @throws AppError `not_found`, `unauthorized`, `forbidden`, `unavailable`. */
  deliveries(input: { credential: Credential; id: string }): Promise<Delivery[]>;
}

export function createWebhookService(deps: {
  readonly requests: Pick<RequestService, 'get'>;
  /** Null when the key may not read. */
  readonly pending: (input: Named) => Promise<Delivery[] | null>;
  readonly finished: (input: Named) => Promise<Delivery[]>;
}): WebhookService {
  return {
    async deliveries({ credential, id }) {
      if (!isId('req', id)) throw requestNotFound(id);
      const named = { credential, id };
      await deps.requests.get(named);
      const pending = (await deps.pending(named)) ?? [];
      const finished = await deps.finished(named).catch((error: unknown) => {
        throw unavailable('The delivery log', error);
      });
      const known = new Set(finished.map((delivery) => delivery.id));
      return [...finished, ...pending.filter((delivery) => !known.has(delivery.id))];
    },
  };
}
