/** The licences of what is bundled, which want to go wherever it goes. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Packages that come without a file of their licence: omggif has it at the head of its source,
 * standardwebhooks in its repository (libraries/LICENSE).
 */
const elsewhere: Readonly<Record<string, string>> = {
  omggif: 'node_modules/omggif/omggif.js',
  standardwebhooks: 'scripts/client/licences/standardwebhooks.txt',
};

/** One text of all packages that these files are of. @throws when one has no licence that is known */
export function licencesOf(files: readonly string[], root: string): string {
  const texts = new Map<string, string>();
  for (const folder of new Set(files.flatMap(packageFolder))) {
    const { name, version } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
    texts.set(`${name} ${version}`, licenceOf({ folder, name }, root));
  }
  const parts = [...texts].sort(([one], [other]) => (one < other ? -1 : 1));
  return parts.map(([title, text]) => `${title}\n\n${text}\n`).join(`\n${'-'.repeat(80)}\n\n`);
}

/** `node_modules/@scope/name`, of the innermost package that the file is in; none for our own. */
const packageFolder = (file: string): string[] =>
  /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file.replaceAll('\\', '/')) ?? [];

function licenceOf({ folder, name }: { folder: string; name: string }, root: string): string {
  const own = readdirSync(join(root, folder)).find((file) => /^(licen[cs]e|copying)\b/i.test(file));
  const path = own === undefined ? elsewhere[name] : join(folder, own);
  if (path === undefined) throw new Error(`${name} is bundled, and no licence of it is known.`);
  const text = readFileSync(join(root, path), 'utf8');
  return (path.endsWith('.js') ? headOf(text) : text).trim();
}

/** The lines of comment that a source begins with. */
function headOf(source: string): string {
  const lines = source.split('\n');
  const end = lines.findIndex((line) => !line.startsWith('//'));
  return lines
    .slice(0, end)
    .map((line) => line.slice(3))
    .join('\n');
}
