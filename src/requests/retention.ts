/** How long what comes out of a request is kept: judged at its admission, fixed from then on. Pure. */
import type { RequestSpec } from './types';

export const HOUR_MS = 3_600_000;
/** Ten years of 365 days: as long as the setting allows. */
export const MAX_RETENTION_HOURS = 87_600;

/** The most that a request of the user may ask for, and what one has that asks for nothing. */
export function longestRetentionMs(
  limits: { readonly retention_hours: number | null },
  settings: { readonly imageRetentionMs: number },
): number {
  const { retention_hours: hours } = limits;
  return hours === null ? settings.imageRetentionMs : hours * HOUR_MS;
}

/** What is tried again was granted its time once: a limit lowered since shortens it, and refuses nothing. */
export function withinRetention<Spec extends Pick<RequestSpec, 'retryOf' | 'retentionMs'>>(
  spec: Spec,
  longestMs: number,
): { readonly spec: Spec; readonly warnings: readonly string[] } {
  const { retentionMs } = spec;
  if (spec.retryOf === null || retentionMs === null || retentionMs <= longestMs) {
    return { spec, warnings: [] };
  }
  const [was, is] = [retentionMs, longestMs].map((ms) => `${ms / HOUR_MS} hours`);
  const warning = `what comes out is kept for ${is}, the most of this account now, and not for ${was}`;
  return { spec: { ...spec, retentionMs: longestMs }, warnings: [warning] };
}

/** Whether an output that is kept until then will do for one who named a time of his own. */
export const lastsFor = (askedMs: number | null, until: number, now: number) =>
  askedMs === null || until >= now + askedMs;
