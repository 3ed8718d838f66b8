/** Pages for agents: numbers as numbers, judged by the schemas of the HTTP lists, which take text. */
import { z } from 'zod';
import { invalidFields } from '../platform/http';
import { pageFields } from '../platform/openapi';

export const pageArguments = {
  limit: z.int().min(1).max(100).default(10).describe('How many at most'),
  cursor: pageFields.cursor.describe('next_cursor of the page before'),
};

export const TIME_FORM = 'A time such as 2026-01-31T12:00:00Z';

/** @throws AppError `invalid_request` */
export function queryOf<Query extends z.ZodType>(
  schema: Query,
  { limit, ...others }: { readonly limit: number; readonly [name: string]: unknown },
): z.output<Query> {
  const given = Object.entries(others).filter(([, value]) => value !== undefined);
  const parsed = schema.safeParse({ ...Object.fromEntries(given), limit: String(limit) });
  if (!parsed.success) throw invalidFields(parsed.error.issues);
  return parsed.data;
}
