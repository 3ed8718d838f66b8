/** The tables of one user's foreman. Append a step, never edit one: objects upgrade as they wake. */
import { auditTables } from '../accounts/audit-rows';
import { accountTables } from '../accounts/limits';
import { abandonedTables } from '../requests/abandoned';
import { followerTables, requestTables } from '../requests/ledger';
import { reuseTables } from '../requests/reuse';
import { deliveryTables } from '../webhooks/deliveries';

const steps: readonly (readonly string[])[] = [
  [...accountTables, ...requestTables, ...deliveryTables],
  [...abandonedTables, ...followerTables, ...reuseTables],
  [...auditTables],
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
