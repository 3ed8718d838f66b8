/** The declarations of what is published. They stand by themselves, as the JavaScript does. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** Packages whose types are part of ours: by name, the file that goes along. */
const taken: Readonly<Record<string, string>> = {
  'openapi-fetch': 'node_modules/openapi-fetch/dist/index.d.mts',
  'openapi-typescript-helpers': 'node_modules/openapi-typescript-helpers/dist/index.d.mts',
};

/** Answers with the files of other packages that went along. */
export function declare(outdir: string, root: string): string[] {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const options = ['--noEmit', 'false', '--declaration', '--emitDeclarationOnly'];
  const words = [tsc, '-p', 'tsconfig.client.json', ...options, '--outDir', outdir];
  const { status } = spawnSync(process.execPath, words, { cwd: root, stdio: 'inherit' });
  if (status !== 0) throw new Error('tsc did not emit the declarations.');
  for (const [name, source] of Object.entries(taken)) {
    writeFileSync(join(outdir, `${name}.d.ts`), readFileSync(join(root, source)));
  }
  for (const file of readdirSync(outdir)) nameFiles(join(outdir, file));
  return Object.values(taken);
}

/**
 * A package is read by Node's rules, by which an import names a file with its extension.
 * @throws when one names a package: nothing is installed beside this one
 */
function nameFiles(file: string): void {
  const text = readFileSync(file, 'utf8');
  const named = text.replace(
    /(from |import\()(['"])([^'"]+)\2/g,
    (_, before: string, quote: string, name: string) => {
      const isOurs = name.startsWith('./');
      if (!isOurs && !(name in taken)) throw new Error(`${basename(file)} refers to ${name}.`);
      return `${before}${quote}${isOurs ? '' : './'}${name}.js${quote}`;
    },
  );
  writeFileSync(file, named);
}
