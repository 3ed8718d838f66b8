/** What users' foremen say of the images of their requests, to the search for orphans. */
import { imagesOf } from '../generation/present';
import type { HeldRequest } from '../images/orphan-rules';
import type { Foremen } from '../images/orphans';
import { isTerminal, type UserId } from '../requests/types';
import type { RemoteForeman } from './stub';

export function createImageForemen(
  foreman: (userId: UserId) => Pick<RemoteForeman, 'recordOf' | 'recheck'>,
): Foremen {
  return {
    async held({ userId, id }): Promise<HeldRequest> {
      const record = await foreman(userId).recordOf(id);
      if (record.outcome !== 'found') {
        return { status: record.outcome === 'deleted' ? 'deleted' : 'absent', images: [] };
      }
      const { state } = record;
      return { status: isTerminal(state) ? 'ended' : 'live', images: imagesOf(state) };
    },
    tellAgain: ({ userId, ids }) => foreman(userId).recheck([...ids]),
  };
}
