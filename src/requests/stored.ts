/** States as rows hold them: JSON that this code, or an earlier version of it, has written. */
import type { RequestState, Tombstone } from './types';

/** What a state of an earlier version has none of. */
const added = {
  parentId: null,
  variationsOf: null,
  reuseKey: null,
  reusedFrom: null,
  floorMicros: 0,
  onBudget: 'reject',
  retentionMs: null,
} as const;

/** Rows are written by this code only, so what they hold is what `save` was given. */
export function parseState(text: string): RequestState | Tombstone {
  const stored = JSON.parse(text) as RequestState | Tombstone;
  if (stored.status === 'deleted') return { ...stored, usage: stored.usage ?? null };
  const state = { ...added, ...stored };
  if (state.status === 'succeeded') return { ...state, outputWarnings: state.outputWarnings ?? [] };
  if (state.status === 'queued') return { ...state, holdMicros: state.holdMicros ?? 0 };
  if (state.status !== 'running' || state.current.job !== undefined) return state;
  return { ...state, current: { ...state.current, job: null } };
}
