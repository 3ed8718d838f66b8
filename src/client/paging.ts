import type { Page } from './types';

/** As many as a page can have. */
const FULL_PAGE = 100;

/** Page by page, each asked for when the one before has been read. */
export async function* allOf<Item, Query extends { readonly limit?: number }>(
  list: (query: Query & { readonly cursor?: string }) => Promise<Page<Item>>,
  query: Query,
): AsyncGenerator<Item, void, undefined> {
  let cursor: string | null = null;
  do {
    const from: { cursor?: string } = cursor === null ? {} : { cursor };
    const page: Page<Item> = await list({ limit: FULL_PAGE, ...query, ...from });
    yield* page.items;
    cursor = page.next_cursor;
  } while (cursor !== null);
}
