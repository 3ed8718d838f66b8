/** The use cases of styles. A style that is in use outlives a D1 outage as this isolate's copy. */

import { z } from 'zod';
import { auditEvent } from '../accounts/audit/event';
import type { By } from '../accounts/types';
import { encodeCursor, readCursor } from '../platform/cursor';
import type { Logger } from '../platform/log';
import { type Sleep, within } from '../platform/patience';
import { createStyleCopies } from './copies';
import { styleExists, styleNotFound, stylesUnavailable, unknownDefaultModel } from './errors';
import type { StyleStore } from './store';
import { isStyleId, type Style, type StyleContent } from './types';

interface StyleChange {
  readonly id: string;
  readonly content: StyleContent;
  readonly by: By;
}

export interface StyleService {
  /**
   * For a request that names it; null when there is none.
   * @throws AppError `unavailable` when D1 does not answer in time and this isolate never saw it.
   */
  resolve(id: string): Promise<Style | null>;
  get(id: string): Promise<Style>;
  list(input: { readonly limit: number; readonly cursor: string | undefined }): Promise<{
    readonly items: readonly Style[];
    readonly nextCursor: string | null;
  }>;
  create(input: StyleChange): Promise<Style>;
  replace(input: StyleChange): Promise<Style>;
  remove(input: Omit<StyleChange, 'content'>): Promise<void>;
}

/** A submission waits this long for D1, then goes on with a copy or is refused. */
const PATIENCE_MS = 1_000;

export function createStyleService(deps: {
  readonly store: StyleStore;
  readonly now: () => number;
  readonly knowsModel: (id: string) => boolean;
  readonly sleep: Sleep;
  readonly log: Logger;
}): StyleService {
  const copies = createStyleCopies();

  const read = async (id: string): Promise<Style | null> => {
    const style = await deps.store.getOne(id);
    if (style) copies.keep(style, deps.now());
    else copies.forget(id);
    return style;
  };

  return {
    async resolve(id) {
      if (!isStyleId(id)) return null;
      const copy = copies.get(id, deps.now());
      if (copy?.isFresh) return copy.style;
      try {
        return await within(PATIENCE_MS, read(id), deps.sleep);
      } catch (error) {
        if (!copy) throw stylesUnavailable(error);
        deps.log.warn('style.copy_used', { style_id: id, error });
        return copy.style;
      }
    },

    async get(id) {
      const style = isStyleId(id) ? await fromD1(read(id)) : null;
      if (!style) throw styleNotFound(id);
      return style;
    },

    async list({ limit, cursor }) {
      const after = cursor === undefined ? null : lastOf(cursor);
      const page = await fromD1(deps.store.getPage({ limit: limit + 1, after }));
      const items = page.slice(0, limit);
      const last = page.length > items.length ? items.at(-1) : undefined;
      return { items, nextCursor: last ? encodeCursor([last.id]) : null };
    },

    async create({ id, content, by }) {
      checkDefaults(content, deps);
      const now = deps.now();
      const style = { id, ...content, createdAt: now, updatedAt: now };
      const event = eventOf('style.created', { id, by }, now);
      if (!(await fromD1(deps.store.createOne({ style, event })))) throw styleExists(id);
      copies.keep(style, now);
      deps.log.info('style.created', { style_id: id });
      return style;
    },

    async replace({ id, content, by }) {
      checkDefaults(content, deps);
      const updatedAt = deps.now();
      const event = eventOf('style.changed', { id, by }, updatedAt);
      const changed = { id, ...content, updatedAt };
      const style = await fromD1(deps.store.updateOne({ style: changed, event }));
      if (!style) throw styleNotFound(id);
      copies.keep(style, updatedAt);
      deps.log.info('style.replaced', { style_id: id });
      return style;
    },

    async remove({ id, by }) {
      const event = eventOf('style.deleted', { id, by }, deps.now());
      const existed = await fromD1(deps.store.deleteOne({ id, event }));
      copies.forget(id);
      if (!existed) throw styleNotFound(id);
      deps.log.info('style.removed', { style_id: id });
    },
  };
}

/** What a style says is a prompt, and stays out of it. */
const eventOf = (
  action: 'style.created' | 'style.changed' | 'style.deleted',
  { id, by }: { readonly id: string; readonly by: By },
  now: number,
) => auditEvent(by, { action, userId: null, target: id }, now);

function checkDefaults(
  { defaults: { model } }: StyleContent,
  { knowsModel }: { readonly knowsModel: (id: string) => boolean },
): void {
  if (model !== undefined && !knowsModel(model)) throw unknownDefaultModel(model);
}

const cursorParts = z.tuple([z.string().refine(isStyleId)]);

function lastOf(cursor: string): string {
  const [id] = readCursor(cursor, cursorParts);
  return id;
}

async function fromD1<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw stylesUnavailable(error);
  }
}
