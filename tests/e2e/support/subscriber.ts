/**
 * A user with three webhook endpoints on one receiver: one that is well, one whose first two answers
 * are 500, and one that never answers.
 */
import { type Receiver, startReceiver } from './receiver.ts';
import type { Server, User } from './server.ts';

const kinds = ['good', 'flaky', 'hanging'] as const;
export type Kind = (typeof kinds)[number];

export interface Subscriber {
  readonly user: User;
  readonly receiver: Receiver;
  readonly endpoints: Readonly<Record<Kind, string>>;
  /** Ids of requests whose end was accepted with 200. */
  toldTo(kind: Kind): ReadonlySet<string>;
  deliveriesOf(requestId: string): Promise<LoggedDelivery[]>;
}

export interface LoggedDelivery {
  readonly id: string;
  readonly endpoint_id: string;
  readonly status: string;
  readonly attempts: readonly { readonly status: number | null; readonly error: string | null }[];
}

export async function newSubscriber(server: Server): Promise<Subscriber> {
  const user = await server.createUser();
  const receiver = await startReceiver();
  const ids = new Map<Kind, string>();
  for (const kind of kinds) {
    const fields = { url: receiver.url(`/${kind}`), events: ['request.succeeded'] };
    const { status, body } = await user.api.post<{ id: string; secret: string }>(
      '/v1/webhooks',
      fields,
    );
    if (status !== 201) throw new Error(`No endpoint: ${status} ${JSON.stringify(body)}`);
    receiver.trust(body.secret);
    ids.set(kind, body.id);
  }
  receiver.script('/flaky', 500, 500);
  receiver.script('/hanging', ...Array.from({ length: 1_000 }, () => 'hang' as const));
  const idOf = (kind: Kind) => ids.get(kind) ?? '';
  return {
    user,
    receiver,
    endpoints: { good: idOf('good'), flaky: idOf('flaky'), hanging: idOf('hanging') },
    toldTo: (kind) =>
      new Set(
        receiver.received
          .filter(({ path, answered }) => path === `/${kind}` && answered === 200)
          .map(({ event }) => event.data.id),
      ),
    async deliveriesOf(requestId) {
      const path = `/v1/requests/${requestId}/deliveries`;
      return (await user.api.get<{ items: LoggedDelivery[] }>(path)).body.items;
    },
  };
}
