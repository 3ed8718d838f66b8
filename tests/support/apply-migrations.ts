// Gives every test file's own D1 database its schema. Applied migrations are recorded, so running
// this again is harmless; after `reset()`, which drops the tables, call `applyMigrations` again.
import { applyD1Migrations, type D1Migration } from 'cloudflare:test';
import { env } from 'cloudflare:workers';

declare global {
  namespace Cloudflare {
    interface Env {
      TEST_MIGRATIONS: D1Migration[];
    }
  }
}

export async function applyMigrations(): Promise<void> {
  await applyD1Migrations(env.DB, env.TEST_MIGRATIONS);
}

await applyMigrations();
