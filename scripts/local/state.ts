// The state folder: everything the local server keeps between runs. One server at a time.
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

export class StateError extends Error {}

/** Where the resources lie inside the state folder, as `wrangler --persist-to` expects them. */
export function resourcesDir(stateDir: string): string {
  return join(stateDir, 'v3');
}

/**
 * Makes the folder and holds it until released. The lock is SQLite's, so the system lets go of it
 * when this process ends in any way.
 */
export function holdState(stateDir: string): { release(): void } {
  try {
    makeFolder(resolve(stateDir));
  } catch (error) {
    throw new StateError(`The state folder ${stateDir} cannot be made: ${messageOf(error)}`);
  }
  const lock = new DatabaseSync(join(stateDir, 'server.lock'));
  try {
    lock.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    throw new StateError(
      messageOf(error).includes('locked')
        ? `Another Foreman runs on the state folder ${stateDir}. Stop it, or set FOREMAN_STATE.`
        : `The state folder ${stateDir} cannot be used: ${messageOf(error)}`,
    );
  }
  return { release: () => lock.close() };
}

/** Node's own recursive mkdir tries for ever where a folder cannot be made, as below /proc. */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  mkdirSync(path);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
