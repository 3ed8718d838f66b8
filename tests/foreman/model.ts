/**
 * What a user's limits are, as plainly as it can be said. Time only moves forward: a clock that
 * stands before what was counted gives nothing back and takes nothing away.
 */
import type { Limits } from '../../src/accounts/types';
import type { RequestId } from '../../src/platform/ids';

/** Of one image of `gpt-image-1`, when nothing else is asked. */
export const PRICE_MICROS = 250_000;
const KEY_LIFE_MS = 24 * 3_600_000;
const ALMOST = 1e-6;

interface Request {
  readonly id: RequestId;
  readonly day: string;
  live: boolean;
  removed: boolean;
}

interface Key {
  readonly body: string;
  readonly request: RequestId;
  expiresAt: number | null;
}

export type Model = ReturnType<typeof createModel>;

const dayOf = (at: number) => new Date(at).toISOString().slice(0, 10);
const monthOf = (at: number) => new Date(at).toISOString().slice(0, 7);

export function createModel(of: Partial<Limits> & { readonly now: number }) {
  const perMs = (of.requests_per_minute ?? 0) / 60_000;
  const burst = of.burst ?? 0;
  const budgetMicros = (of.monthly_budget_usd ?? 0) * 1e6;
  const imagesPerDay = of.images_per_day ?? 0;
  const requests = new Map<RequestId, Request>();
  const keys = new Map<string, Key>();
  let bucket = { tokens: burst, at: of.now };
  let day = { is: dayOf(of.now), images: 0 };
  let month = { is: monthOf(of.now), spent: 0 };

  const tokensAt = (now: number) =>
    Math.min(burst, bucket.tokens + Math.max(0, now - bucket.at) * perMs);
  const dayAt = (now: number) => (dayOf(now) > day.is ? { is: dayOf(now), images: 0 } : day);
  const monthAt = (now: number) =>
    monthOf(now) > month.is ? { is: monthOf(now), spent: 0 } : month;
  const live = () => [...requests.values()].filter((request) => request.live);
  const held = () => live().length * PRICE_MICROS;

  const refusal = (now: number): keyof Limits | null => {
    if (tokensAt(now) < 1 - ALMOST) return 'requests_per_minute';
    if (dayAt(now).images + 1 > imagesPerDay) return 'images_per_day';
    const left = budgetMicros - monthAt(now).spent - held();
    return left < PRICE_MICROS ? 'monthly_budget_usd' : null;
  };

  const endKeyOf = (request: RequestId, now: number) => {
    for (const key of keys.values()) {
      if (key.request === request) key.expiresAt = now + KEY_LIFE_MS;
    }
  };

  return {
    submit(
      asked: {
        readonly key: string | null;
        readonly body: string;
        readonly made: RequestId | null;
      },
      now: number,
    ): object {
      const known = asked.key === null ? undefined : keys.get(asked.key);
      if (known) {
        if (known.body !== asked.body) return { outcome: 'mismatch' };
        const isRemoved = requests.get(known.request)?.removed;
        return { outcome: isRemoved ? 'deleted' : 'replayed' };
      }
      const limit = refusal(now);
      if (limit) return { outcome: 'refused', limit };
      if (!asked.made) return { outcome: 'accepted, but it was not' };
      bucket = { tokens: Math.max(0, tokensAt(now) - 1), at: Math.max(bucket.at, now) };
      day = dayAt(now);
      month = monthAt(now);
      day = { ...day, images: day.images + 1 };
      requests.set(asked.made, { id: asked.made, day: dayOf(now), live: true, removed: false });
      if (asked.key !== null) {
        keys.set(asked.key, { body: asked.body, request: asked.made, expiresAt: null });
      }
      return { outcome: 'accepted' };
    },

    /** `used`: it brought something. What brought nothing gives its image back, on the same day. */
    end(id: RequestId, how: { readonly costMicros: number; readonly used: boolean }, now: number) {
      const request = requests.get(id);
      if (!request?.live) return;
      request.live = false;
      endKeyOf(id, now);
      day = dayAt(now);
      month = monthAt(now);
      month = { ...month, spent: month.spent + how.costMicros };
      if (!how.used && request.day === day.is) day = { ...day, images: day.images - 1 };
    },

    remove(id: RequestId, now: number) {
      const request = requests.get(id);
      if (!request) return;
      this.end(id, { costMicros: 0, used: false }, now);
      request.removed = true;
    },

    /** What an alarm does at this time. */
    forget(now: number) {
      for (const [name, { expiresAt }] of keys) {
        if (expiresAt !== null && expiresAt <= now) keys.delete(name);
      }
    },

    pick(what: 'live' | 'kept', which: number): RequestId | null {
      const all = [...requests.values()].filter((r) => (what === 'live' ? r.live : !r.removed));
      return all[which % Math.max(1, all.length)]?.id ?? null;
    },

    requestOf: (key: string | null) => (key === null ? undefined : keys.get(key)?.request),
    tokens: tokensAt,
    usage: (now: number) => ({
      unitsToday: dayAt(now).images,
      spentMicros: monthAt(now).spent,
      reservedMicros: held(),
    }),
  };
}
