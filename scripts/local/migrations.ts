// Brings the local D1 database to the newest migration before the Worker can be reached. The record
// of what is applied is the table that `wrangler d1 migrations` keeps, so both agree.
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import type { Migration, Plan } from './plan.ts';
import { resourcesDir } from './state.ts';

const RECORD = `CREATE TABLE IF NOT EXISTS d1_migrations (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT UNIQUE,
  applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL
)`;

export async function applyMigrations(
  plan: Plan,
  stateDir: string,
  runtimeEnvironment: Record<string, string>,
): Promise<void> {
  const version = createHash('sha256').update(JSON.stringify(plan.migrations)).digest('hex');
  // Beside the database, so that who deletes the database deletes this too.
  const marker = join(resourcesDir(stateDir), 'd1', 'foreman-migrated');
  if ((await readFile(marker, 'utf8').catch(() => null)) === version) return;

  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      cf: false,
      unsafeRuntimeEnv: runtimeEnvironment,
      resourcePersistencePath: resourcesDir(stateDir),
      workers: [
        {
          name: plan.worker.name ?? 'foreman',
          modules: [{ type: 'ESModule', path: 'migrate.js', contents: 'export default {};' }],
          compatibilityDate: plan.worker.compatibilityDate ?? '',
          d1Databases: plan.worker.d1Databases ?? {},
        },
      ],
    }),
  );
  try {
    const database = await miniflare.getD1Database(plan.d1Binding);
    await database.prepare(RECORD).run();
    const { results } = await database.prepare('SELECT name FROM d1_migrations').all();
    const applied = new Set(results.map((row) => row.name));
    for (const migration of plan.migrations) {
      if (!applied.has(migration.name)) await applyOne(database, migration);
    }
  } finally {
    await miniflare.dispose();
  }
  await writeFile(marker, version);
}

type Database = Awaited<ReturnType<Miniflare['getD1Database']>>;

/** A batch is one transaction: a migration that fails leaves nothing behind. */
async function applyOne(database: Database, { name, queries }: Migration): Promise<void> {
  await database.batch([
    ...queries.map((query) => database.prepare(query)),
    database.prepare('INSERT INTO d1_migrations (name) VALUES (?)').bind(name),
  ]);
}
