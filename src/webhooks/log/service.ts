/**
 * Looking into the delivery log, and sending again what is in it. Finished deliveries are D1's; what
 * is pending, and what D1 has not heard of yet, is the foreman's.
 */
import { deniedFault } from '../../accounts/errors';
import type { Credential, Denial, Scope } from '../../accounts/types';
import { type DeliveryId, type EndpointId, isId, type UserId } from '../../platform/ids';
import { unavailable } from '../../requests/errors';
import { PING } from '../endpoints/types';
import { deliveryNotFound, endpointIsDisabled, endpointNotFound } from '../errors';
import type { Delivery, FinishedDelivery } from '../types';
import { type HeldDeliveries, type LogQuery, mergePage } from './page';
import type { DeliveryLogStore } from './store';

/** In place of an endpoint's id: the URLs that requests name themselves. */
export const OWN_URLS = 'default';

/** How long a delivery is kept in the log once it has ended. */
export const LOG_LIFE_MS = 90 * 86_400_000;

/** One transaction of the foreman takes no more: their bodies may have 2 MB together. */
const REPLAY_PAGE = 100;
const NEVER_ARRIVED = ['failed', 'skipped'] as const;
const ENDED = [...NEVER_ARRIVED, 'delivered'] as const;

/** One call makes no more pages; with `next_cursor` the client goes on. */
const REPLAY_PAGES = 10;

type Denied = { readonly outcome: Denial };
type Asked = { readonly credential: Credential };
/** `id` is an endpoint's or `OWN_URLS`; it may be anything. */
type Named = Asked & { readonly id: string };

export interface ReplayAnswer {
  /** Of those given, and of those that it holds itself. */
  readonly replayed: number;
  readonly found: boolean;
}

/** What this service asks of a user's foreman; null for an endpoint that is not there. */
export interface LogForeman {
  getEndpoint(input: Named): Promise<object | Denied | null>;
  heldDeliveries(
    input: Asked & { readonly query: LogQuery; readonly known: readonly DeliveryId[] },
  ): Promise<HeldDeliveries | Denied | null>;
  replayDeliveries(
    input: Asked & {
      readonly endpointId: EndpointId | null;
      readonly ids: readonly DeliveryId[];
      readonly archived: readonly FinishedDelivery[];
    },
  ): Promise<ReplayAnswer | { readonly refusal: 'disabled' } | Denied | null>;
}

export interface ReplayRange {
  /** Epoch ms; from the first until before the second. */
  readonly from: number;
  readonly to: number;
  readonly includeDelivered: boolean;
  readonly after: DeliveryId | null;
}

export type DeliveryLog = ReturnType<typeof createDeliveryLog>;

export function createDeliveryLog(deps: {
  readonly foreman: (userId: UserId) => LogForeman;
  readonly store: DeliveryLogStore;
}) {
  const { store } = deps;

  /** Who asks for what cannot be an endpoint's id is told so by the foreman, who knows who may ask. */
  const endpointIdOf = async ({ credential, id }: Named): Promise<EndpointId | null> => {
    if (id === OWN_URLS) return null;
    if (isId('whk', id)) return id;
    const answer = await deps.foreman(credential.userId).getEndpoint({ credential, id });
    told(id, answer, 'requests:read');
    throw endpointNotFound(id);
  };

  const replay = async (
    { credential, id }: Named,
    of: { readonly ids: readonly DeliveryId[]; readonly archived: readonly FinishedDelivery[] },
  ): Promise<ReplayAnswer> => {
    const endpointId = await endpointIdOf({ credential, id });
    const foreman = deps.foreman(credential.userId);
    const answer = told(
      id,
      await foreman.replayDeliveries({ credential, endpointId, ...of }),
      'requests:write',
    );
    if ('refusal' in answer) throw endpointIsDisabled();
    return answer;
  };

  return {
    /** Newest first. @throws AppError `not_found`, `unavailable`. */
    async page(
      input: Named & { readonly query: Omit<LogQuery, 'endpointId'> },
    ): Promise<{ readonly items: readonly Delivery[]; readonly next: DeliveryId | null }> {
      const { credential, id } = input;
      const { userId } = credential;
      const query: LogQuery = { ...input.query, endpointId: await endpointIdOf(input) };
      const more = { ...query, limit: query.limit + 1 };
      const archived = await fromLog(store.getPage({ ...more, userId }));
      const known = archived.map((delivery) => delivery.id);
      const foreman = deps.foreman(userId);
      const held = await foreman.heldDeliveries({ credential, query: more, known });
      return mergePage(query, archived, told(id, held, 'requests:read'));
    },

    /** @throws AppError `not_found`, `conflict` for a disabled endpoint, `unavailable`. */
    async replayOne(input: Named & { readonly deliveryId: string }): Promise<ReplayAnswer> {
      const { credential, deliveryId } = input;
      const endpointId = await endpointIdOf(input);
      if (!isId('dlv', deliveryId)) throw deliveryNotFound(deliveryId);
      const { userId } = credential;
      const archived = await fromLog(store.getOne({ userId, endpointId, id: deliveryId }));
      const of = { ids: [deliveryId], archived: archived ? [archived] : [] };
      const answer = await replay(input, of);
      if (!answer.found) throw deliveryNotFound(deliveryId);
      return answer;
    },

    /**
     * Oldest first, as far as D1's log has heard of them. Each page is a transaction, and one that is
     * pending already stays so: a call that broke off is made again.
     * @throws AppError `not_found`, `conflict` for a disabled endpoint, `unavailable`.
     */
    async replayRange(
      input: Named & { readonly range: ReplayRange },
    ): Promise<{ readonly replayed: number; readonly next: DeliveryId | null }> {
      const { from, to, includeDelivered } = input.range;
      const { userId } = input.credential;
      const endpointId = await endpointIdOf(input);
      const statuses = includeDelivered ? ENDED : NEVER_ARRIVED;
      let { after } = input.range;
      let replayed = 0;
      for (let page = 0; page < REPLAY_PAGES; page += 1) {
        const range = { userId, endpointId, from, to, after, statuses };
        const asked = { ...range, limit: REPLAY_PAGE, except: PING };
        const archived = await fromLog(store.getRange(asked));
        const ids = archived.map(({ id }) => id);
        // An empty page is asked about too: who may not, or names no endpoint, is told so.
        replayed += (await replay(input, { ids, archived })).replayed;
        if (archived.length < REPLAY_PAGE) return { replayed, next: null };
        after = ids.at(-1) ?? after;
      }
      return { replayed, next: after };
    },
  };
}

function told<T extends object>(id: string, answer: T | Denied | null, scope: Scope): T {
  if (answer === null) throw endpointNotFound(id);
  if ('outcome' in answer) throw deniedFault(answer.outcome, scope);
  return answer;
}

async function fromLog<T>(asked: Promise<T>): Promise<T> {
  return asked.catch((error: unknown) => {
    throw unavailable('The delivery log', error);
  });
}
