// `npm run build`: dist/, as it is published. JavaScript by esbuild, declarations by tsc. It is made
// beside dist/ and put in its place when it is whole: two builds at once do not see halves of each other.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type BuildOptions, build } from 'esbuild';
import { repositoryDir } from '../local/settings.ts';
import { commands, type Entry, everywhere } from './entries.ts';

const DIST = join(repositoryDir, 'dist');
const SWAPS = 5;

const folder = mkdtempSync(join(repositoryDir, 'dist-'));
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
  await bundle(everywhere, {
    outdir,
    platform: 'neutral',
    target: 'es2023',
    mainFields: ['module', 'main'],
    splitting: true,
  });
  await bundle(commands, {
    outdir,
    platform: 'node',
    target: 'node20',
    packages: 'external',
    banner: { js: '#!/usr/bin/env node' },
  });
  for (const { name } of commands) chmodSync(join(outdir, `${name}.js`), 0o755);
  declare(join(outdir, 'types'));
}

async function bundle(entries: readonly Entry[], options: BuildOptions): Promise<void> {
  await build({
    absWorkingDir: repositoryDir,
    entryPoints: entries.map(({ name, source }) => ({ in: `./${source}`, out: name })),
    bundle: true,
    format: 'esm',
    legalComments: 'none',
    logLevel: 'warning',
    ...options,
  });
}

function declare(outdir: string): void {
  const tsc = join(repositoryDir, 'node_modules/typescript/bin/tsc');
  const options = ['--noEmit', 'false', '--declaration', '--emitDeclarationOnly'];
  const words = [tsc, '-p', 'tsconfig.client.json', ...options, '--outDir', outdir];
  const { status } = spawnSync(process.execPath, words, { cwd: repositoryDir, stdio: 'inherit' });
  if (status !== 0) throw new Error('tsc did not emit the declarations.');
  for (const file of readdirSync(outdir)) nameExtensions(join(outdir, file));
}

/** A package is read by Node's rules, by which an import names a file with its extension. */
function nameExtensions(file: string): void {
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, text.replace(/(from |import\()(['"])(\.\/[^'"]+)\2/g, '$1$2$3.js$2'));
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
