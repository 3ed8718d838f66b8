/**
 * What comes after the end: a request that has succeeded may lose some of its output. It stays as it
 * ended, so no event tells of it; its version rises, so that the newest one wins wherever it is kept.
 * Pure.
 */
import type { JsonObject } from '../platform/json';
import type { Finished, RequestState, Succeeded } from './types';

export function reviseOutput(state: Succeeded, output: JsonObject, now: number): Succeeded {
  return { ...state, output, version: state.version + 1, revisedAt: now };
}

export const isRevised = (state: RequestState): boolean =>
  state.status === 'succeeded' && state.revisedAt !== undefined;

export const changedAt = (state: Finished): number =>
  state.status === 'succeeded' ? (state.revisedAt ?? state.completedAt) : state.completedAt;
