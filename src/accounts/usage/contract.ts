/** How usage is asked for, on behalf of a user or of the operator, and how it is told. */
import { z } from '@hono/zod-openapi';
import { decodeCursor, encodeCursor } from '../../platform/cursor';
import { AppError } from '../../platform/errors';
import { nextCursor, pageFields } from '../../platform/openapi';
import { type Grouping, groupings, type UsageGroup, type UsageQuery } from './store';

const DAY_MS = 86_400_000;
/** A leap year. A report reads every request of its range. */
const MAX_DAYS = 366;

const dayOrTime = z.union([z.iso.date(), z.iso.datetime({ offset: true })], {
  error: 'must be an ISO 8601 date or time',
});

export const usageQuerySchema = z.strictObject({
  from: dayOrTime.optional().openapi({
    description: 'Requests created from then on; without it, from the start of the month (UTC)',
  }),
  to: dayOrTime.optional().openapi({
    description: `Requests created before; without it, all of this month (UTC). At most ${MAX_DAYS} days after \`from\``,
  }),
  group_by: z.enum(groupings).default('day'),
  ...pageFields,
  limit: pageFields.limit
    .default(100)
    .openapi({ type: 'integer', minimum: 1, maximum: 100, default: 100 }),
});
export type AskedUsage = z.output<typeof usageQuerySchema>;

const usageGroupSchema = z
  .object({
    group: z.string().nullable().openapi({
      description: 'The day of creation (UTC), the model or the provider; null: none was called',
      example: '2026-11-21',
    }),
    requests: z.int().openapi({
      description: 'By provider, a request that was tried at two of them counts with both',
    }),
    images: z.int().openapi({ description: 'Made; those of an equal request count with that one' }),
    cost_usd: z.number().openapi({
      description: 'What the providers charge or, where an answer was lost, may charge',
    }),
  })
  .openapi('UsageGroup');
export const usagePageSchema = z
  .object({ items: z.array(usageGroupSchema), next_cursor: nextCursor })
  .openapi('UsagePage');

type Range = Pick<UsageQuery, 'from' | 'to'>;
export type ReadUsageQuery = Omit<UsageQuery, 'userId'>;

/** @throws AppError `invalid_request` for a range that is none, or a cursor of another report. */
export function readUsageQuery(asked: AskedUsage, now: number): ReadUsageQuery {
  const { group_by: groupBy, limit } = asked;
  if (asked.cursor === undefined) {
    return { ...checked(rangeOf(asked, now)), groupBy, limit, after: null };
  }
  const { after, ...range } = readCursor(asked.cursor, groupBy);
  const { from = range.from, to = range.to } = timesOf(asked);
  if (from !== range.from || to !== range.to) throw invalid('cursor', 'belongs to another range');
  return { ...checked(range), groupBy, limit, after };
}

/** `groups` holds one more than asked for when there is a next page. */
export function presentUsage(
  groups: readonly UsageGroup[],
  query: ReadUsageQuery,
): z.output<typeof usagePageSchema> {
  const page = groups.slice(0, query.limit);
  const last = groups.length > page.length ? page.at(-1) : undefined;
  const { groupBy, from, to } = query;
  return {
    items: page.map(({ group, requests, images, costMicros }) => ({
      group: group === '' ? null : group,
      requests,
      images,
      cost_usd: costMicros / 1e6,
    })),
    next_cursor: last ? encodeCursor([groupBy, from, to, last.group]) : null,
  };
}

const timesOf = ({ from, to }: AskedUsage): Partial<Range> => ({
  ...(from === undefined ? {} : { from: Date.parse(from) }),
  ...(to === undefined ? {} : { to: Date.parse(to) }),
});

/** Without a `from`, the month in which the range ends; without a `to`, until the end of this one. */
function rangeOf(asked: AskedUsage, now: number): Range {
  const { from, to = monthAfter(now) } = timesOf(asked);
  return { from: from ?? monthOf(to - 1), to };
}

function checked(range: Range): Range {
  if (range.from >= range.to) throw invalid('from', 'must be before `to`');
  if (range.to - range.from > MAX_DAYS * DAY_MS) {
    throw invalid('from', `must be at most ${MAX_DAYS} days before \`to\``);
  }
  return range;
}

/** A cursor continues the report it was made in, even when the month is over. */
function readCursor(text: string, grouping: Grouping): Range & { readonly after: string } {
  const [groupBy, from, to, after, ...rest] = decodeCursor(text) ?? [];
  const isOurs = typeof from === 'number' && typeof to === 'number' && typeof after === 'string';
  if (!isOurs || rest.length > 0) throw invalid('cursor', 'is not a cursor of this report');
  if (groupBy !== grouping) throw invalid('cursor', 'belongs to another `group_by`');
  return { from, to, after };
}

function monthOf(at: number): number {
  const day = new Date(at);
  return Date.UTC(day.getUTCFullYear(), day.getUTCMonth());
}

function monthAfter(at: number): number {
  const day = new Date(at);
  return Date.UTC(day.getUTCFullYear(), day.getUTCMonth() + 1);
}

const invalid = (path: string, message: string) =>
  new AppError('invalid_request', `Not valid: ${path}.`, { errors: [{ path, message }] });
