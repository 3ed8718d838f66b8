/** Keeps roughly when a key was last used, beside the call that uses it. */
import { isUseNoted, noteUse } from '../accounts/keys/ring';
import type { Credential } from '../accounts/types';
import { consoleLogger } from '../platform/log';
import type { Desk } from './desk';
import { wakeProjector } from './waking';

/**
 * For a credential that passed. The note is a transaction of its own, before the work: a disk that
 * takes no more writes must not end reads, and whether a note goes through is nothing to its call.
 */
export function keepUse(
  desk: Pick<Desk, 'sql' | 'now'>,
  credential: Credential,
  change: (work: (desk: Desk) => void) => void,
): void {
  if (credential.via !== 'key') return;
  try {
    if (isUseNoted(desk, credential)) return;
    change((desk) => {
      if (noteUse(desk, credential)) wakeProjector(desk, credential.userId);
    });
  } catch (error) {
    consoleLogger.warn('foreman.use_not_noted', { user_id: credential.userId, error });
  }
}
