import { describe, expect, it } from 'vitest';
import type { SubmitInput } from '../../src/generation/service';
import { submitCall } from '../../src/openai/submit';
import { AppError } from '../../src/platform/errors';
import type { RequestState } from '../../src/requests/types';
import { queued } from '../support/states';

const state = queued();
const call = {
  credential: { userId: state.userId } as SubmitInput['credential'],
  submission: { prompt: 'a boat' },
  context: { idempotencyKey: null, origin: '', correlationId: 'c', traceparent: null },
  retries: 1,
  hungUp: new AbortController().signal,
};
const made = { state, position: null, eta: null, replayed: false };

const MINUTE_MS = 60_000;

/** What a repeated call comes to so long after its request was made. */
async function collected(found: RequestState, minutes: number) {
  const submit = async ({ ownKey }: SubmitInput) =>
    ownKey === 'renew' ? made : { ...made, state: found, replayed: true };
  const now = () => found.createdAt + minutes * MINUTE_MS;
  const answer = await submitCall(call, { generation: { submit }, now });
  return answer.state;
}

/** What a repeated call comes to when the key of its body leads to what answers like this. */
async function repeated(code: string) {
  const uses: SubmitInput['ownKey'][] = [];
  const submit = async ({ ownKey }: SubmitInput) => {
    uses.push(ownKey);
    if (ownKey !== 'renew') throw new AppError(code, '');
    return made;
  };
  const answer = await submitCall(call, { generation: { submit }, now: Date.now }).catch(
    (fault: AppError) => fault.code,
  );
  return { answer, uses };
}

it('a first try whose client has hung up makes nothing: its repetition may have come before it', async () => {
  const submit = async () => expect.fail('submitted');
  const gone = { ...call, retries: 0, hungUp: AbortSignal.abort() };
  const deps = { generation: { submit }, now: Date.now };
  await expect(submitCall(gone, deps)).rejects.toThrow('hung up');
});

describe('a repeated call whose key leads to a request that', () => {
  const failed = (minutes: number): RequestState => {
    const {
      wait: _,
      holdMicros: __,
      ...rest
    } = state as Extract<RequestState, { status: 'queued' }>;
    const error = { code: 'deadline_exceeded', message: 'too late', details: {} } as const;
    return {
      ...rest,
      id: 'req_older',
      status: 'failed',
      completedAt: state.createdAt + minutes * MINUTE_MS,
      error,
    };
  };

  it('goes on, or has just come to its end, collects it however old it is', async () => {
    const live: RequestState = { ...state, id: 'req_older' };
    expect((await collected(live, 25)).id).toBe('req_older');
    expect((await collected(failed(15), 16)).id).toBe('req_older');
    expect((await collected(failed(15), 31)).id).toBe(state.id);
  });

  it.each(['gone', 'not_found'])('is %s is a new request', async (code) => {
    expect(await repeated(code)).toEqual({ answer: made, uses: ['collect', 'renew'] });
  });

  it('may or may not be there is not made anew', async () => {
    expect(await repeated('unavailable')).toEqual({ answer: 'unavailable', uses: ['collect'] });
  });
});
