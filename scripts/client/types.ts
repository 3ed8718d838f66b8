// `npm run client:types`: src/client/schema.ts, generated from the Worker's own OpenAPI document. The
// generator wants a TypeScript older than the one that everything else is checked with, so the two are
// fetched for this run and are no dependencies (docs/decisions/0028-client-from-the-openapi-document.md).
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startLocalServer } from '../local/server.ts';
import { repositoryDir, throwAwaySettings } from '../local/settings.ts';
import { documentForClients, hashLine, hashOf } from './document.ts';

const GENERATOR = 'openapi-typescript@7.13.0';
const ITS_TYPESCRIPT = 'typescript@5.9.3';
const OUTPUT = join(repositoryDir, 'src/client/schema.ts');

const folder = mkdtempSync(join(tmpdir(), 'foreman-client-types-'));
try {
  const document = documentForClients(await readDocument(join(folder, 'state')));
  const input = join(folder, 'openapi.json');
  const output = join(folder, 'schema.ts');
  writeFileSync(input, JSON.stringify(document));
  generate(input, output);
  writeFileSync(OUTPUT, `${hashLine(await hashOf(document))}\n${readFileSync(output, 'utf8')}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);

async function readDocument(stateDir: string): Promise<Parameters<typeof documentForClients>[0]> {
  const settings = throwAwaySettings();
  const server = await startLocalServer({ port: 0, stateDir, settings, quiet: true });
  try {
    const response = await fetch(`${server.origin}/openapi.json`);
    return (await response.json()) as Parameters<typeof documentForClients>[0];
  } finally {
    await server.stop();
  }
}

function generate(input: string, output: string): void {
  const words = ['exec', '--yes', '--package', GENERATOR, '--package', ITS_TYPESCRIPT, '--'];
  // What has a default may be left out of a body; by its own default the generator would demand it.
  const options = ['--alphabetize', '--default-non-nullable', 'false'];
  const command = ['openapi-typescript', input, '--output', output, ...options];
  const { status, error } = spawnSync('npm', [...words, ...command], {
    // Outside of the repository, whose own TypeScript would be taken otherwise.
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (status !== 0) throw new Error('openapi-typescript did not run.', { cause: error });
}
