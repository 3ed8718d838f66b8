// `npm run build`: dist/, as it is published, or another folder that is named. JavaScript by esbuild,
// declarations by tsc; nothing has to be installed beside it. It is made beside its place and put there
// when it is whole: two builds at once do not see halves of each other.
import { chmodSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type BuildOptions, build } from 'esbuild';
import { repositoryDir } from '../local/settings.ts';
import { declare } from './declarations.ts';
import { commands, type Entry, everywhere, leftOut } from './entries.ts';
import { licencesOf } from './licences.ts';

const DIST = resolve(process.argv[2] ?? join(repositoryDir, 'dist'));
const SWAPS = 5;
/** Packages that are CommonJS ask for modules of Node by `require`, which a module does not have. */
const REQUIRE = [
  "import { createRequire as requireFrom } from 'node:module';",
  'const require = requireFrom(import.meta.url);',
].join('\n');

const folder = mkdtempSync(`${DIST}-`);
try {
  const made = join(folder, 'made');
  await buildInto(made);
  for (let swaps = 1; !putInPlace(made); swaps += 1) {
    if (swaps === SWAPS) throw new Error(`${DIST} could not be replaced.`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function buildInto(outdir: string): Promise<void> {
  // Entries share chunks, so that an error thrown by one is an instance of the class of the other.
  const client = await bundle(everywhere, {
    outdir,
    platform: 'neutral',
    target: 'es2023',
    mainFields: ['module', 'main'],
  });
  // What is large and seldom needed is a chunk that is loaded when it is.
  const commandLine = await bundle(commands, {
    outdir,
    chunkNames: 'cli/[name]-[hash]',
    platform: 'node',
    target: 'node20',
    banner: { js: REQUIRE },
    alias: Object.fromEntries(leftOut.map((name) => [name, './scripts/client/absent.ts'])),
    // Names stay as they are, for whoever reads a stack trace.
    minifySyntax: true,
    minifyWhitespace: true,
  });
  for (const { name } of commands) chmodSync(join(outdir, `${name}.js`), 0o755);
  const types = declare(join(outdir, 'types'), repositoryDir);
  const licences = licencesOf([...client, ...commandLine, ...types], repositoryDir);
  writeFileSync(join(outdir, 'THIRD_PARTY_LICENSES.txt'), licences);
}

/** Answers with the files that went in. */
async function bundle(entries: readonly Entry[], options: BuildOptions): Promise<string[]> {
  const { metafile } = await build({
    absWorkingDir: repositoryDir,
    entryPoints: entries.map(({ name, source }) => ({ in: `./${source}`, out: name })),
    bundle: true,
    splitting: true,
    format: 'esm',
    legalComments: 'none',
    logLevel: 'warning',
    ...options,
    metafile: true,
  });
  return Object.keys(metafile.inputs);
}

/** False when another build was there in between. */
function putInPlace(made: string): boolean {
  try {
    renameSync(DIST, `${made}.before`);
  } catch {
    // There was none, or it was taken away just now.
  }
  try {
    renameSync(made, DIST);
    return true;
  } catch {
    rmSync(`${made}.before`, { recursive: true, force: true });
    return false;
  }
}
