// Three projects. `workers` and `sharing` run inside workerd against real bindings (D1, R2, Queues,
// Durable Objects), built from the top level of wrangler.toml. `e2e` runs on Node against the server as its
// own process.
import { readFileSync } from 'node:fs';
import { cloudflareTest, readD1Migrations } from '@cloudflare/vitest-pool-workers';
import { defineConfig, type Plugin } from 'vitest/config';

// Each worker is a workerd process of its own that mostly waits; more than this only take turns on a
// two-core machine.
const MAX_WORKERS = 3;
const MAX_SERVERS = 2;

// The pool warns of secrets missing from .dev.vars before it sees the bindings below.
process.env.WRANGLER_LOG ??= 'error';

/** Every documented setting, not given. */
const documented = readFileSync('.dev.vars.example', 'utf8').matchAll(/^#?([A-Z][A-Z0-9_]*)=/gm);
const unset = Object.fromEntries(Array.from(documented, ([, name = '']) => [name, '']));

const bindings = {
  // Every setting that a .dev.vars could set is pinned here, so that a developer's own settings
  // change no test.
  ...unset,
  ADMIN_TOKEN: 'test-admin-token-0123456789abcdef0123456789',
  KEY_SIGNING_SECRET: 'test-key-signing-secret-0123456789abcdef01',
  LINK_SIGNING_SECRET: 'test-link-signing-secret-0123456789abcdef0',
  OPENAI_API_KEY: 'test-openai-api-key-0123456789abcdef012345',
  OPENAI_BASE_URL: 'https://openai.test/v1',
  CHAOS_MODELS: 'true',
  ALLOW_LOCAL_URLS: 'true',
  DETACH_CALLS: 'true',
  PROVIDER_TIMEOUT_MS: '120000',
  REQUEST_HOT_HOURS: '24',
  IMAGE_RETENTION_DAYS: '30',
  JWT_ISSUER: 'https://login.test/',
  JWT_AUDIENCE: 'foreman',
  JWT_CREATE_USERS: 'true',
  ACCESS_TEAM_DOMAIN: 'acme.cloudflareaccess.com',
  ACCESS_AUDIENCE: 'tag',
};

/**
 * Every isolate is sent every module, with its source map in it. Those of dependencies are most of what
 * is sent, a quarter of the time of most files, and nobody steps through them.
 */
const withoutForeignMaps = (): Plugin => ({
  name: 'without-foreign-maps',
  enforce: 'post',
  transform: (code, id) =>
    id.includes('/node_modules/') ? { code, map: { mappings: '' } } : undefined,
});

const inWorkerd = () => [
  withoutForeignMaps(),
  cloudflareTest(async () => ({
    // The real Worker, with a switch in front of each binding.
    main: './tests/support/worker.ts',
    wrangler: { configPath: './wrangler.toml' },
    miniflare: {
      bindings: { TEST_MIGRATIONS: await readD1Migrations('./migrations'), ...bindings },
      // Low enough to be reached call by call.
      ratelimits: { SHIELD: { namespace_id: '1001', simple: { limit: 6, period: 60 } } },
    },
  })),
];

const workers = {
  globalSetup: ['./tests/support/start-fake-openai.ts', './tests/support/fakes/start.ts'],
  setupFiles: ['./tests/support/apply-migrations.ts'],
  testTimeout: 20_000,
  // A consumer may log when its test file has ended, and nobody takes what is handed over then.
  disableConsoleIntercept: true,
};

/** Tests that keep nothing in storage share an isolate: starting one takes longer than they do. */
const sharing = [
  'tests/accounts/{admission,admission.properties,default-limits,tenancy}.test.ts',
  'tests/accounts/{grants/opening,keys/signing,keys/text,sign-in/*,tickets/ticket}.test.ts',
  'tests/cli/!(run).test.ts',
  'tests/client/{retrying,schema}.test.ts',
  'tests/generation/*.test.ts',
  'tests/generation/{breaker,providers}/**/*.test.ts',
  'tests/images/{binding-codec,buckets,disposition,inspect,links,scaling,selection,wasm-codec}.test.ts',
  'tests/openai/{errors,form,lines,parameters,submit}.test.ts',
  'tests/mcp/{arguments,waiting}.test.ts',
  'tests/platform/**/*.test.ts',
  'tests/requests/{dead-letters,estimate,event-stream,known-versions,lifecycle,look-again,queueing,remote-job,retention,revising,stored}.test.ts',
  'tests/styles/{apply,types}.test.ts',
  'tests/webhooks/**/*.test.ts',
];
export default defineConfig({
  test: {
    maxWorkers: MAX_WORKERS,
    // An object that wakes by its alarm when its test file has ended asks for its modules, and nobody is
    // there to answer: no test is concerned.
    onUnhandledError: ({ name, message }) =>
      !(name === 'EnvironmentTeardownError' && message.includes('while "resolve" was pending')),
    coverage: {
      provider: 'istanbul',
      include: ['src/**/*.ts'],
      reporter: ['text', 'html'],
      thresholds: { lines: 85 },
    },
    projects: [
      {
        plugins: inWorkerd(),
        test: {
          ...workers,
          name: 'workers',
          include: ['tests/**/*.test.ts'],
          exclude: ['tests/e2e/**', ...sharing],
        },
      },
      {
        plugins: inWorkerd(),
        test: { ...workers, name: 'sharing', include: sharing, isolate: false },
      },
      {
        test: {
          name: 'e2e',
          environment: 'node',
          include: ['tests/e2e/**/*.test.ts'],
          // Each file owns a server, its ports and its state. They mostly wait; a third at once would
          // blur what a slow answer means.
          maxWorkers: MAX_SERVERS,
          sequence: { groupOrder: 1 },
          testTimeout: 180_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
