/**
 * What clients ask of their foreman when they delete an image: whether a request has it, and that the
 * record of the request shows it no more. Runs inside one transaction.
 */
import { auditEvent, byOf } from '../accounts/audit/event';
import { createAudit } from '../accounts/audit/rows';
import type { Credential } from '../accounts/types';
import { withoutImage } from '../generation/present';
import type { OfRequest, RequestImageAnswer } from '../images/removal';
import type { JsonObject } from '../platform/json';
import * as ledger from '../requests/ledger';
import { dueAt } from '../requests/queueing';
import { reviseOutput } from '../requests/revising';
import type { RequestState, Succeeded, Tombstone } from '../requests/types';
import { clientCall } from './client-call';
import { type Desk, save } from './desk';
import { forgetReusable } from './reusing';
import { wakeProjector } from './waking';

export const imageCalls = {
  findImage: clientCall('requests:write', (desk, input: OfRequest): RequestImageAnswer => {
    const found = find(desk, input);
    return { outcome: typeof found === 'string' ? found : 'found' };
  }),

  forgetImage: clientCall('requests:write', (desk, input: OfRequest): RequestImageAnswer => {
    const found = find(desk, input);
    if (typeof found === 'string') return { outcome: found };
    const { row, state, output } = found;
    keep(desk, row, reviseOutput(state, output, desk.now));
    // What is not whole any more is of no use to an equal request.
    forgetReusable(desk, state, (follower, next) => save(desk, follower, next));
    putOnRecord(desk, input);
    return { outcome: 'found' };
  }),

  recordDeletedUpload: clientCall(
    'requests:write',
    (desk, input: Pick<OfRequest, 'credential' | 'imageId'>) => {
      putOnRecord(desk, input);
      return { outcome: 'recorded' as const };
    },
  ),
};

function find(desk: Desk, { requestId, imageId, archived, credential }: OfRequest) {
  const row = ledger.getOne(desk.sql, requestId);
  const state: RequestState | Tombstone | null = row?.state ?? archived;
  if (!state) return 'archived' as const;
  if (state.status !== 'succeeded' || state.userId !== credential.userId) return 'missing' as const;
  const output = withoutImage(state, { id: imageId, now: desk.now });
  // An output is JSON, which is all that a JSON object is.
  return output ? { row, state, output: output as unknown as JsonObject } : ('missing' as const);
}

/**
 * One that has left for D1 comes back, and leaves again as any other: when D1 has this version, and
 * not before its hot time. Until then nobody can take an older version for the last one.
 */
function keep(desk: Desk, before: ledger.LedgerRow | null, state: Succeeded): void {
  const due = dueAt(state, desk.settings.requestHotMs);
  if (before) ledger.updateOne(desk.sql, { before, state, dueAt: due });
  else ledger.createOne(desk.sql, { state, dueAt: due });
  wakeProjector(desk, state.userId);
}

function putOnRecord(
  desk: Desk,
  of: { readonly credential: Credential; readonly imageId: OfRequest['imageId'] },
): void {
  const { credential, imageId: target } = of;
  const { userId } = credential;
  const event = { action: 'image.deleted', userId, target } as const;
  createAudit(desk.sql, auditEvent(byOf(credential), event, desk.now));
}
