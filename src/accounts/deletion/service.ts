/** The end of a user, as the operator asks for it and watches it. The user's foreman keeps it going. */

import { found, userIdOf } from '../service';
import type { By, UserId } from '../types';
import type { Deletion } from './progress';

/** What this service asks of a user's foreman. Each method may be called again after a fault. */
export interface DeletionForeman {
  beginDeletion(by: By): Promise<Deletion | null>;
  getDeletion(): Promise<Deletion | null>;
}

export interface DeletionService {
  /** Begins once; again, it answers how far it has come. @throws AppError `not_found`. */
  begin(id: string, by: By): Promise<Deletion>;
  /** @throws AppError `not_found` for whoever is not being deleted, and has not been. */
  get(id: string): Promise<Deletion>;
}

export function createDeletionService(deps: {
  readonly foreman: (userId: UserId) => DeletionForeman;
}): DeletionService {
  return {
    async begin(id, by) {
      return found('user', await deps.foreman(userIdOf(id)).beginDeletion(by));
    },
    async get(id) {
      return found('deletion of a user', await deps.foreman(userIdOf(id)).getDeletion());
    },
  };
}
