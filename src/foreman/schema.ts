/** The tables of one user's foreman. Append a step, never edit one: objects upgrade as they wake. */
import { auditTables } from '../accounts/audit/rows';
import { deletionTables } from '../accounts/deletion/rows';
import { grantTables } from '../accounts/grants/rows';
import { accountTables } from '../accounts/limits';
import { abandonedTables } from '../requests/abandoned';
import { idempotencyTables } from '../requests/idempotency-rows';
import { followerTables, requestTables, unfundedTables } from '../requests/ledger';
import { reuseTables } from '../requests/reuse';
import { deliveryTables, laneTables } from '../webhooks/deliveries';
import { endpointTables } from '../webhooks/endpoints/rows';

const steps: readonly (readonly string[])[] = [
  [...accountTables, ...requestTables, ...idempotencyTables, ...deliveryTables],
  [...abandonedTables, ...followerTables, ...reuseTables],
  [...auditTables, ...unfundedTables, ...deletionTables],
  [...endpointTables, ...laneTables],
  [...grantTables],
];

export function migrate(storage: DurableObjectStorage): void {
  storage.transactionSync(() => {
    storage.sql.exec('CREATE TABLE IF NOT EXISTS schema_steps (step INTEGER PRIMARY KEY)');
    const { done } = storage.sql
      .exec<{ done: number }>('SELECT count(*) AS done FROM schema_steps')
      .one();
    for (const [index, statements] of steps.entries()) {
      if (index < done) continue;
      for (const statement of statements) storage.sql.exec(statement);
      storage.sql.exec('INSERT INTO schema_steps (step) VALUES (?)', index);
    }
  });
}

/** What is left of a user who is deleted: that it was done, and by whom until D1 has been told. */
const lasting = ['schema_steps', 'deletion', 'audit_events'];

/** Whatever tables there are, so that none that is added is forgotten. */
export function emptyTables(sql: SqlStorage): void {
  const tables = sql
    .exec<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'")
    .toArray()
    .map(({ name }) => name);
  for (const name of tables) {
    if (!lasting.includes(name) && !/^(sqlite|_cf)_/.test(name)) sql.exec(`DELETE FROM ${name}`);
  }
}
