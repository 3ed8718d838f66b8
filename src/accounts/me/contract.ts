/** The JSON of one's own account, and how it is made from ours. */
import { z } from '@hono/zod-openapi';
import { iso, limitsView } from '../contract';
import { scopes } from '../types';
import type { Me } from './view';

const time = z.iso.datetime();
const held = 'Held for calls that run, and for accepted requests that wait.';

export const meSchema = z
  .object({
    user: z.object({ id: z.string(), name: z.string() }),
    key: z.object({
      id: z.string().nullable().openapi({ description: 'null with a token of another issuer' }),
      name: z.string(),
      scopes: z.array(z.enum(scopes)),
    }),
    limits: limitsView,
    usage: z.object({
      running: z.int(),
      waiting: z.int(),
      images_today: z.int().openapi({
        description:
          'Asked for since 00:00 UTC, less those of requests that ended without an image and ' +
          'without a call that may have been charged.',
      }),
      month_cost_usd: z.number(),
      month_reserved_usd: z.number().openapi({ description: held }),
    }),
    budget: z
      .object({
        limit_usd: z.number().nullable(),
        spent_usd: z.number(),
        reserved_usd: z.number().openapi({ description: held }),
        left_usd: z.number().nullable(),
        resets_at: time,
      })
      .openapi({ description: 'Of this month (UTC). Without a budget, limit and left are null.' }),
    images: z
      .object({ limit: z.int(), used: z.int(), left: z.int(), resets_at: time })
      .openapi({ description: 'Of this day (UTC).' }),
  })
  .openapi('Me');

export function presentMe({ account, key, usage }: Me): z.output<typeof meSchema> {
  return {
    user: { id: account.userId, name: account.name },
    key: { id: key.id, name: key.name, scopes: [...key.scopes] },
    limits: account.limits,
    usage: {
      running: usage.running,
      waiting: usage.waiting,
      images_today: usage.unitsToday,
      month_cost_usd: usage.spentMicros / 1e6,
      month_reserved_usd: usage.reservedMicros / 1e6,
    },
    budget: {
      limit_usd: account.limits.monthly_budget_usd,
      spent_usd: usage.spentMicros / 1e6,
      reserved_usd: usage.reservedMicros / 1e6,
      left_usd: usage.leftMicros === null ? null : Math.max(0, usage.leftMicros) / 1e6,
      resets_at: iso(usage.monthEndsAt),
    },
    images: {
      limit: account.limits.images_per_day,
      used: usage.unitsToday,
      left: Math.max(0, account.limits.images_per_day - usage.unitsToday),
      resets_at: iso(usage.dayEndsAt),
    },
  };
}
