/** The query of `GET /v1/requests`, and its pages. */
import { z } from '@hono/zod-openapi';
import { decodeCursor, encodeCursor } from '../platform/cursor';
import { AppError } from '../platform/errors';
import type { UserId } from '../platform/ids';
import { pageFields } from '../platform/openapi';
import type { PageQuery, PageRow, SortBy } from './store';
import { requestStatuses } from './types';

const METADATA_PREFIX = 'metadata.';
/** As many as a request has; D1 binds 100 values a query. */
const MAX_METADATA_FILTERS = 16;
const flag = z.enum(['true', 'false']);
const time = z.iso.datetime({ offset: true });

export const listQuerySchema = z
  .object({
    ...pageFields,
    sort_by: z.enum(['created_at', 'updated_at', 'cost_usd']).default('created_at'),
    sort_direction: z.enum(['asc', 'desc']).default('desc'),
    status: z.enum(requestStatuses).optional(),
    model: z.string().max(100).optional(),
    created_after: time.optional(),
    created_before: time.optional(),
    updated_after: time
      .optional()
      .describe('What has changed since; the index is behind by moments, so leave a margin'),
    updated_before: time.optional(),
    include_total: flag.default('false'),
  })
  .catchall(z.string().max(512).describe('`metadata.<key>=<value>` filters by metadata'));
export type ListQuery = z.output<typeof listQuerySchema>;

export interface AskedPage {
  readonly query: PageQuery;
  readonly includeTotal: boolean;
}

export function readListQuery(query: ListQuery, userId: UserId): AskedPage {
  const { limit, sort_by: sortBy, sort_direction: direction } = query;
  return {
    includeTotal: query.include_total === 'true',
    query: {
      userId,
      limit,
      sortBy,
      direction,
      after: query.cursor === undefined ? null : readCursor(query.cursor, { sortBy, direction }),
      status: query.status ?? null,
      model: query.model ?? null,
      createdAfter: atOf(query.created_after),
      createdBefore: atOf(query.created_before),
      updatedAfter: atOf(query.updated_after),
      updatedBefore: atOf(query.updated_before),
      metadata: metadataFilters(query),
    },
  };
}

const atOf = (text: string | undefined) => (text === undefined ? null : Date.parse(text));

/** `rows` holds one more than asked for when there is a next page. */
export function pageOf(rows: readonly PageRow[], { query }: AskedPage) {
  const page = rows.slice(0, query.limit);
  const last = page.at(-1);
  const nextCursor =
    rows.length > query.limit && last
      ? encodeCursor([query.sortBy, query.direction, last.sortValue, last.state.id])
      : null;
  return { rows: page, nextCursor };
}

function metadataFilters(query: ListQuery): { key: string; value: string }[] {
  const known = new Set(Object.keys(listQuerySchema.shape));
  const others = Object.entries(query).filter(([name]) => !known.has(name));
  if (others.length > MAX_METADATA_FILTERS) {
    throw invalid('metadata', `at most ${MAX_METADATA_FILTERS} filters`);
  }
  return others.map(([name, value]) => {
    const key = name.slice(METADATA_PREFIX.length);
    if (!name.startsWith(METADATA_PREFIX) || key === '') {
      throw invalid(name, 'is not a parameter of this list');
    }
    return { key, value: String(value) };
  });
}

/** A cursor continues the order it was made in. */
function readCursor(
  text: string,
  order: { readonly sortBy: SortBy; readonly direction: string },
): { value: number; id: string } {
  const [sortBy, direction, value, id] = decodeCursor(text) ?? [];
  if (typeof value !== 'number' || typeof id !== 'string') throw invalid('cursor', 'is not valid');
  if (sortBy !== order.sortBy || direction !== order.direction) {
    throw invalid('cursor', 'belongs to another sort order');
  }
  return { value, id };
}

const invalid = (path: string, message: string) =>
  new AppError('invalid_request', `Not valid: ${path.slice(0, 100)}.`, {
    errors: [{ path: path.slice(0, 100), message }],
  });
