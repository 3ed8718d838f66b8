/** Writes a foreman's news into D1, each feature's rows by its own statements. */
import { accountStatements } from '../accounts/store';
import { imagesOf } from '../generation/present';
import { deleteImageStatements, imageStatements } from '../images/store';
import { upsertStatement } from '../requests/store';
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
            images: imagesOf(state),
          })),
    ]),
    ...deliveryStatements(db, news.deliveries),
  ];
  if (statements.length > 0) await db.batch(statements);
}
