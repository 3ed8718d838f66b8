/** The package as it would be published, installed in a folder of its own that knows of no repository. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const repositoryDir = fileURLToPath(new URL('../../..', import.meta.url));

export interface InstalledPackage {
  /** A project that depends on it: `import … from 'foreman'` works in here. */
  readonly projectDir: string;
  readonly packageDir: string;
  /** The Node of this machine, where it has one of its own: no newer than a customer's. */
  readonly node: string;
  remove(): Promise<void>;
}

/** Packed by npm, from the working tree. It depends on nothing, so there is nothing beside it. */
export async function installPackage(): Promise<InstalledPackage> {
  const projectDir = await mkdtemp(join(tmpdir(), 'foreman-package-'));
  const packageDir = join(projectDir, 'node_modules/foreman');
  await mkdir(packageDir, { recursive: true });
  await run('npm', ['pack', '--silent', '--pack-destination', projectDir], { cwd: repositoryDir });
  const tarball = (await readdir(projectDir)).find((name) => name.endsWith('.tgz'));
  if (tarball === undefined) throw new Error('npm pack has packed nothing');
  const from = join(projectDir, tarball);
  await run('tar', ['-xzf', from, '-C', packageDir, '--strip-components', '1']);
  await writeFile(join(projectDir, 'package.json'), '{"type": "module"}');
  const remove = () => rm(projectDir, { recursive: true, force: true });
  return { projectDir, packageDir, node: await findNode(), remove };
}

async function findNode(): Promise<string> {
  const path = (process.env.PATH ?? '').split(delimiter);
  const own = path.filter((folder) => !folder.includes('node_modules'));
  const env = { ...process.env, PATH: own.join(delimiter) };
  const asked = run('node', ['-p', 'process.execPath'], { env });
  return asked.then(({ stdout }) => stdout.trim()).catch(() => process.execPath);
}
