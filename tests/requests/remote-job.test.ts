import { describe, expect, it } from 'vitest';
import * as lifecycle from '../../src/requests/lifecycle';
import { dueAt, phaseOf } from '../../src/requests/queueing';
import { keepJob, nudge, recheck } from '../../src/requests/remote-job';
import type { JobProgress, RequestState, Running } from '../../src/requests/types';
import { failure, NOW, queued, running, success, tryTarget } from '../support/states';

const HOT_MS = 3_600_000;
const progress = (overrides: Partial<JobProgress> = {}): JobProgress => ({
  handle: { id: 'job-1' },
  providerRequestId: 'job-1',
  warnings: ['it ignores seed'],
  queue: null,
  checkAfterMs: 2_000,
  ...overrides,
});
const kept = (overrides: Partial<JobProgress> = {}) =>
  keepJob(running(), { token: 'token-1', progress: progress(overrides) }, NOW);
const jobOf = (state: RequestState) => (state as Running).current.job;
const decide = () => tryTarget();

describe('a job at a provider', () => {
  it('is kept with its handle, without a new version, and left alone until its time', () => {
    const state = kept();
    expect(jobOf(state)).toMatchObject({
      handle: { id: 'job-1' },
      acceptedAt: NOW,
      wait: { for: 'time', until: NOW + 2_000 },
    });
    expect(state.version).toBe(running().version);
    expect(phaseOf(state)).toBe('remote');
    expect(dueAt(state, HOT_MS)).toBe(NOW + 2_000);
  });

  it('stays under the lease of whoever goes on asking', () => {
    const state = kept({ checkAfterMs: null });
    expect(phaseOf(state)).toBe('running');
    expect(dueAt(state, HOT_MS)).toBe(state.deadlineAt);
  });

  it('is kept with the token of its attempt only', () => {
    const state = running();
    expect(keepJob(state, { token: 'another', progress: progress() }, NOW)).toBe(state);
    const waiting = queued();
    expect(keepJob(waiting, { token: 'token-1', progress: progress() }, NOW)).toBe(waiting);
  });

  it('keeps when it was accepted, and every warning, however often it is told of', () => {
    const later = progress({ warnings: ['and steps'] });
    const state = keepJob(kept(), { token: 'token-1', progress: later }, NOW + 5_000);
    expect(jobOf(state)).toMatchObject({
      acceptedAt: NOW,
      warnings: ['it ignores seed', 'and steps'],
    });
  });

  it('is asked for under a release of its own, and by one consumer only', () => {
    const state = kept();
    expect(recheck(state, NOW + 1_999)).toBe(state);
    const sent = recheck(state, NOW + 2_000);
    expect(sent.release).toBe(state.release + 1);
    expect(phaseOf(sent)).toBe('remote');
    const old = { release: state.release, token: 'token-2', decide };
    expect(lifecycle.claim(sent, old, NOW)).toBe(sent);
    const claimed = lifecycle.claim(sent, { ...old, release: sent.release }, NOW + 2_001);
    expect((claimed as Running).current).toMatchObject({ number: 1, token: 'token-2' });
    expect(phaseOf(claimed)).toBe('running');
    expect(claimed.version).toBe(state.version);
    const again = { release: sent.release, token: 'token-3', decide };
    expect(lifecycle.claim(claimed, again, NOW + 2_002)).toBe(claimed);
  });

  it('whose wake-up is not confirmed is sent for again under the same release', () => {
    const sent = recheck(kept(), NOW + 2_000);
    const resent = lifecycle.resend(sent, NOW + 17_000);
    expect(resent.release).toBe(sent.release);
    expect(jobOf(resent)?.wait).toEqual({ for: 'claim', sentAt: NOW + 17_000, sends: 2 });
    expect(dueAt(resent, HOT_MS)).toBe(NOW + 47_000);
  });

  it('is asked for at once when the provider calls, and for its own attempt only', () => {
    const state = kept();
    expect(nudge(state, 2, NOW + 10)).toBe(state);
    expect(jobOf(nudge(state, 1, NOW + 10))?.wait).toMatchObject({ for: 'claim' });
  });

  it('that the provider calls about while somebody asks is asked for again at once after that', () => {
    const asked = kept({ checkAfterMs: null });
    const nudged = nudge(asked, 1, NOW + 10);
    expect(phaseOf(nudged)).toBe('running');
    expect(nudge(nudged, 1, NOW + 20)).toBe(nudged);
    const goesOn = keepJob(
      nudged,
      { token: 'token-1', progress: progress({ checkAfterMs: null }) },
      NOW + 30,
    );
    const left = keepJob(goesOn, { token: 'token-1', progress: progress() }, NOW + 40);
    expect(jobOf(left)).toMatchObject({ nudged: false, wait: { for: 'time', until: NOW + 40 } });
  });

  it('outlives whoever asked for it: a lost lease is no unknown outcome', () => {
    const lost = lifecycle.loseLease(kept({ checkAfterMs: null }), { decide }, NOW + 20_000);
    expect(lost.attempts).toEqual([]);
    expect(jobOf(lost)).toMatchObject({ handle: { id: 'job-1' }, wait: { for: 'claim' } });
  });

  it('that is left alone has no lease to lose', () => {
    const state = kept();
    expect(lifecycle.loseLease(state, { decide }, NOW + 20_000)).toBe(state);
  });

  it('ends with its attempt, which keeps the provider’s id and the warnings', () => {
    const facts = { token: 'token-1', result: success, decide, nextToken: null };
    const result = { ...success, providerRequestId: null };
    const ended = lifecycle.settle(kept({ checkAfterMs: null }), { ...facts, result }, NOW + 1);
    expect(ended.attempts[0]).toMatchObject({ providerRequestId: 'job-1', token: 'token-1' });
    expect(ended.attempts[0]).not.toHaveProperty('job');
    expect(ended).toMatchObject({ outputWarnings: ['it ignores seed'] });
  });

  it('is followed by another attempt without a job when it fails', () => {
    const facts = { token: 'token-1', result: failure('failed'), decide, nextToken: 'token-2' };
    const next = lifecycle.settle(kept({ checkAfterMs: null }), facts, NOW + 1) as Running;
    expect(next.current).toMatchObject({ number: 2, token: 'token-2', job: null });
  });

  it.each([
    ['canceled', (state: RequestState) => lifecycle.cancel(state, NOW + 1)],
    ['expired', (state: RequestState) => lifecycle.expire(state, state.deadlineAt)],
  ])('that runs when its request is %s may be billed', (status, end) => {
    const ended = end(kept());
    expect(ended.status).toBe(status);
    expect(ended.attempts[0]).toMatchObject({ outcome: 'unknown', possiblyBilled: true });
  });
});
