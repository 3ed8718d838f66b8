import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newId } from '../../../src/platform/ids';
import { type HeldDeliveries, mergePage } from '../../../src/webhooks/log/page';
import type { Delivery, FinishedDelivery } from '../../../src/webhooks/types';

const userId = newId('usr', 0);
const endpointId = newId('whk', 0);

function finished(at: number, status: FinishedDelivery['status']): FinishedDelivery {
  const about = { userId, endpointId, requestId: null, type: 'endpoint.ping', url: '', body: '' };
  const rest = { attempts: [], attemptsBefore: 0, correlationId: '', traceparent: null };
  const id = newId('dlv', at);
  return { ...about, ...rest, id, status, reason: null, createdAt: at, finishedAt: at };
}

const pendingAgain = (of: FinishedDelivery): Delivery => {
  const { finishedAt: _, reason: __, ...rest } = of;
  const waits = { waitsForLane: false, sends: 0, sentAt: 0, lease: null };
  return { ...rest, ...waits, status: 'pending', lane: 'lane', nextAttemptAt: 0 };
};

describe('a page of a delivery log', () => {
  it('shows what was replayed as the foreman has it', () => {
    const old = finished(1, 'failed');
    const known = [pendingAgain(old)];
    const all = mergePage({ limit: 5, status: null }, [old], { page: known, known, end: null });
    expect(all).toEqual({ items: known, next: null });
    const failed = mergePage({ limit: 5, status: 'failed' }, [old], { page: [], known, end: null });
    expect(failed).toEqual({ items: [], next: null });
  });

  it('leaves nothing out and repeats nothing, whoever holds what, page by page', () => {
    const side = fc.constantFrom('archived', 'held', 'both');
    const status = fc.constantFrom('delivered' as const, 'failed' as const);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(side, status), { maxLength: 40 }),
        fc.integer({ min: 1, max: 7 }),
        fc.constantFrom(null, 'failed' as const, 'pending' as const),
        // How many the foreman looks at.
        fc.integer({ min: 1, max: 50 }),
        (entries, limit, asked, lookedAt) => {
          const archived: FinishedDelivery[] = [];
          const held = new Map<string, Delivery>();
          entries.forEach(([at, ended], index) => {
            const delivery = finished(index, ended);
            if (at !== 'held') archived.unshift(delivery);
            if (at !== 'archived') held.set(delivery.id, pendingAgain(delivery));
          });
          const latest = new Map([...archived, ...held.values()].map((d) => [d.id, d.status]));
          for (const [id, { status: now }] of held) latest.set(id as Delivery['id'], now);
          const isAsked = (now: string) => asked === null || now === asked;

          const seen: string[] = [];
          let before: string | null = null;
          for (let pages = 0; pages < 100; pages += 1) {
            const isLeft = ({ id, status: now }: Delivery) =>
              (before === null || id < before) && isAsked(now);
            const fromLog = archived.filter(isLeft).slice(0, limit + 1);
            const all = asked === 'failed' ? [] : [...held.values()].reverse();
            const from: string | null = before;
            const looked = all.filter(({ id }) => from === null || id < from).slice(0, lookedAt);
            const answer: HeldDeliveries = {
              page: looked.filter(isLeft).slice(0, limit + 1),
              end: looked.length === lookedAt ? (looked.at(-1)?.id ?? null) : null,
              known: fromLog.flatMap(({ id }) => held.get(id) ?? []),
            };
            const { items, next } = mergePage({ limit, status: asked }, fromLog, answer);
            expect(items.length).toBeLessThanOrEqual(limit);
            seen.push(...items.map(({ id }) => id));
            if (next === null) break;
            before = next;
          }
          const expected = [...latest].filter(([, now]) => isAsked(now)).map(([id]) => id);
          expect(seen).toEqual(expected.sort().reverse());
        },
      ),
    );
  });
});
