/** What operators learn of who did what, and the record of what has no row of its own. */
import { z } from 'zod';
import { encodeCursor, idPart, readCursor } from '../../platform/cursor';
import type { Logger } from '../../platform/log';
import { type Sleep, within } from '../../platform/patience';
import { auditUnavailable } from '../errors';
import type { AuditEvent } from './event';
import type { AuditQuery, AuditStore } from './store';

export interface AuditService {
  list(input: Omit<AuditQuery, 'after'> & { readonly cursor: string | undefined }): Promise<{
    readonly items: readonly AuditEvent[];
    readonly nextCursor: string | null;
  }>;
  /**
   * For what is done already and must not wait for D1: an event that cannot be stored is logged.
   * Never throws.
   */
  record(event: AuditEvent): Promise<void>;
}

const MAX_TRIES = 3;
/** Whoever waits for the answer waits no longer than three of these. */
const PATIENCE_MS = 1_000;

export function createAuditService(deps: {
  readonly store: AuditStore;
  readonly sleep: Sleep;
  readonly log: Logger;
}): AuditService {
  /** A try that comes through after all has stored the same event. */
  const storeInTime = (event: AuditEvent): Promise<void> =>
    within(PATIENCE_MS, deps.store.createOne(event), deps.sleep);

  return {
    async list({ cursor, ...query }) {
      const after = cursor === undefined ? null : lastOf(cursor);
      const { limit } = query;
      const page = await deps.store
        .getPage({ ...query, after, limit: limit + 1 })
        .catch((error: unknown) => Promise.reject(auditUnavailable(error)));
      const items = page.slice(0, limit);
      const last = page.length > items.length ? items.at(-1) : undefined;
      return { items, nextCursor: last ? encodeCursor([last.at, last.id]) : null };
    },

    async record(event) {
      let fault: unknown;
      for (let tries = 0; tries < MAX_TRIES; tries += 1) {
        try {
          await storeInTime(event);
          return;
        } catch (error) {
          fault = error;
        }
      }
      const { action, correlationId } = event;
      deps.log.error('audit.not_stored', { action, correlation_id: correlationId, error: fault });
    },
  };
}

const cursorParts = z.tuple([z.number(), idPart('aud')]);

function lastOf(cursor: string): Pick<AuditEvent, 'at' | 'id'> {
  const [at, id] = readCursor(cursor, cursorParts);
  return { at, id };
}
