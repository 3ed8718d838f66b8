/** Reading what is sent and keeping what comes: a file is there whole, or not at all. */
import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { SaveError, UsageError } from './fault';

export async function isDirectory(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isDirectory() ?? false;
}

/** Before anything is paid for. @throws UsageError */
export async function refuseExisting(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    if (await stat(path).catch(() => null)) throw new UsageError(existsAlready(path));
  }
}

/** @throws UsageError */
export async function readImageFile(path: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return new Uint8Array(await readFile(path));
  } catch (error) {
    throw new UsageError(`${path} cannot be read (${codeOf(error)}).`);
  }
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
  const folder = dirname(path);
  const written = join(folder, `.${basename(path)}.${randomUUID()}.part`);
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(written, bytes, { flag: 'wx' });
    await (mayReplace ? rename(written, path) : moveToFree(written, path));
  } catch (error) {
    if (error instanceof SaveError) throw error;
    throw new SaveError(`${path} cannot be written (${codeOf(error)}).`);
  } finally {
    await rm(written, { force: true });
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
