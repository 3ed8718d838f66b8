/** Where everything of a user lies outside the foreman, and how it is deleted there. */
import type { Eraser } from '../accounts/deletion/consumer';
import { createUserNames } from '../accounts/directory';
import { deleteKeysOf } from '../accounts/keys/store';
import { deleteUserStatement } from '../accounts/store';
import { deleteUsageOf } from '../accounts/usage/store';
import { type Buckets, bucketFor } from '../images/buckets';
import { deleteImagesOf, deleteObjectsOf, deleteUploadsOf } from '../images/store';
import type { OAuth } from '../oauth/server';
import type { RequestId } from '../platform/ids';
import { deleteLettersOf } from '../requests/dead-letter-store';
import { deleteRequestsOf, getSomeOf } from '../requests/store';
import { deleteDeliveriesOf } from '../webhooks/store';

/** As many as a page of the foreman's own has. */
const REQUESTS = 20;
/** Of one table, in one statement. */
const ROWS = 500;

export function createEraser(
  env: Pick<Env, 'DB' | 'DIRECTORY'> & Buckets,
  { endSome }: Pick<OAuth, 'endSome'>,
): Eraser {
  const { DB: db } = env;
  const names = createUserNames(env);
  const run = async (statements: readonly D1PreparedStatement[]) => {
    const results = await db.batch([...statements]);
    return results.map(({ meta }) => meta.changes);
  };
  const deleteAllObjects = (id: RequestId) => deleteObjectsOf(bucketFor(env, id), id);

  return {
    deleteObjects: async (requests) => sum(await Promise.all(requests.map(deleteAllObjects))),
    deleteUploads: (userId) => deleteUploadsOf(bucketFor(env, userId), userId),
    getIndexed: (userId) => getSomeOf(db, { userId, limit: REQUESTS }),

    async deleteRequestRows(userId, requestIds) {
      const of = { userId, requestIds };
      const statements = [deleteImagesOf, deleteRequestsOf];
      return sum(await run(statements.map((statement) => statement(db, of))));
    },

    // Images have no rows but beside their request's.
    async deleteOtherRows(userId) {
      const statements = [deleteDeliveriesOf, deleteKeysOf, deleteLettersOf, deleteUsageOf];
      const page = statements.map((statement) => statement(db, { userId, limit: ROWS }));
      const deleted = await run(page);
      return { rows: sum(deleted), more: deleted.some((n) => n >= ROWS) };
    },

    deleteGrants: endSome,
    deleteUserRow: async (userId) => sum(await run([deleteUserStatement(db, userId)])),
    releaseName: names.release,
  };
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, n) => total + n, 0);
