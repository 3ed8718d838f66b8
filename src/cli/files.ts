/** Reading what is sent and keeping what comes: a file is there whole, or not at all. */
import { randomUUID } from 'node:crypto';
import {
  access,
  constants,
  link,
  lstat,
  mkdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { SaveError, UsageError } from './fault';

export async function isDirectory(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isDirectory() ?? false;
}

/** Of this process, whatever they lead to: a file that stdout is redirected to is no file to replace. */
const STANDARD_STREAM = /^\/dev\/(std(out|err)|fd\/\d+)$/;

/** A device or a pipe: there is nothing to replace, and nothing beside it to write to. */
export async function isStream(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => null);
  if (found === null || found.isDirectory()) return false;
  return !found.isFile() || STANDARD_STREAM.test(path);
}

/** Before anything is paid for. @throws UsageError */
export async function refuseExisting(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    if (await lstat(path).catch(() => null)) throw new UsageError(existsAlready(path));
  }
}

const DENIALS = ['EACCES', 'EPERM', 'EROFS'];

/** Whether files can come to be in a folder, which may have to be made. @throws UsageError */
export async function refuseUnwritable(
  folder: string,
  { mayBeMade }: { readonly mayBeMade: boolean },
): Promise<void> {
  const nearest = await nearestOf(resolve(folder));
  if (!mayBeMade && nearest !== resolve(folder)) {
    throw new UsageError(`There is no folder ${folder}; \`--out ${folder}/\` makes it.`);
  }
  const denial = await access(nearest, constants.W_OK | constants.X_OK).then(() => '', codeOf);
  const fault = (await isDirectory(nearest)) ? denial : 'ENOTDIR';
  if (fault !== 'ENOTDIR' && !DENIALS.includes(fault)) return;
  throw new UsageError(`Nothing can be written to ${folder} (${fault}).`);
}

/** Itself, or the one above it that there is. */
async function nearestOf(path: string): Promise<string> {
  const isMissing = await stat(path).then(
    () => false,
    (error: unknown) => codeOf(error) === 'ENOENT',
  );
  return isMissing && dirname(path) !== path ? nearestOf(dirname(path)) : path;
}

/** @throws UsageError */
export async function readImageFile(path: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return new Uint8Array(await readFile(path));
  } catch (error) {
    throw new UsageError(`${path} cannot be read (${codeOf(error)}).`);
  }
}

/** @throws SaveError */
export async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch((error) => refuseWriting(path, error));
}

/** @throws SaveError */
export async function writeToStream(path: string, bytes: Uint8Array): Promise<void> {
  await writeFile(path, bytes).catch((error) => refuseWriting(path, error));
}

function refuseWriting(path: string, error: unknown): never {
  throw new SaveError(`${path} cannot be written (${codeOf(error)}).`);
}

/**
 * Written beside its place and moved there at the end, so that neither a full disk nor a kill leaves
 * half an image. @throws SaveError
 */
export async function saveFile(
  path: string,
  bytes: Uint8Array,
  { mayReplace }: { readonly mayReplace: boolean },
): Promise<void> {
  const written = join(dirname(path), `.foreman-${randomUUID()}.part`);
  try {
    await writeFile(written, bytes, { flag: 'wx' });
    await (mayReplace ? rename(written, path) : moveToFree(written, path));
  } catch (error) {
    if (error instanceof SaveError) throw error;
    refuseWriting(path, error);
  } finally {
    await rm(written, { force: true }).catch(() => {});
  }
}

/** A rename replaces what is there; a link does not, even what came between a look and the move. */
async function moveToFree(written: string, path: string): Promise<void> {
  try {
    await link(written, path);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') throw new SaveError(existsAlready(path));
    // A file system without links.
    if (await stat(path).catch(() => null)) throw new SaveError(existsAlready(path));
    await rename(written, path);
  }
}

const existsAlready = (path: string) => `${path} exists; --force replaces it.`;

const codeOf = (error: unknown) =>
  String((error as { code?: unknown }).code ?? (error instanceof Error ? error.message : error));
