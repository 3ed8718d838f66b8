/** Writes a foreman's news into D1, each feature's rows by its own statements. */
import { auditStatement } from '../accounts/audit/store';
import { accountStatements } from '../accounts/store';
import { usageOf } from '../accounts/usage/facts';
import { type RequestUse, usageStatements } from '../accounts/usage/store';
import { imagesOf, madeBy } from '../generation/present';
import { deleteImageStatements, imageStatements } from '../images/store';
import { isRevised } from '../requests/revising';
import { upsertStatement } from '../requests/store';
import type { RequestState, Tombstone } from '../requests/types';
import { deleteDeliveryStatement, deliveryStatements } from '../webhooks/store';
import type { News } from './news';

/** One atomic batch: a request never shows in D1 without its images, nor they without it. */
export async function writeNews(db: D1Database, news: News): Promise<void> {
  const statements = [
    ...(news.account ? accountStatements(db, news.account) : []),
    ...news.requests.flatMap((state) => [
      upsertStatement(db, state),
      ...(state.status === 'deleted'
        ? [
            ...deleteImageStatements(db, { userId: state.userId, requestId: state.id }),
            deleteDeliveryStatement(db, { userId: state.userId, requestId: state.id }),
          ]
        : imageStatements(db, {
            userId: state.userId,
            requestId: state.id,
            version: state.version,
            // What is shared has its row with the request that made it.
            images: state.reusedFrom === null ? imagesOf(state) : [],
            isRevised: isRevised(state),
          })),
    ]),
    ...deliveryStatements(db, news.deliveries),
    ...usedBy(db, news.requests),
    ...(news.audit.length > 0 ? [auditStatement(db, news.audit)] : []),
  ];
  if (statements.length > 0) await db.batch(statements);
}

/** All of one user. */
function usedBy(
  db: D1Database,
  states: readonly (RequestState | Tombstone)[],
): D1PreparedStatement[] {
  const [first] = states;
  if (!first) return [];
  const requests: RequestUse[] = states.flatMap((state) => {
    const { id, version } = state;
    const usage = state.status === 'deleted' ? state.usage : usageOf(state, madeBy(state));
    return usage ? [{ id, version, usage }] : [];
  });
  return usageStatements(db, { userId: first.userId, requests });
}
