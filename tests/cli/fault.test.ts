import { describe, expect, it } from 'vitest';
import { exitCodeOfStatus } from '../../src/cli/exit-codes';
import {
  faultOf,
  Interrupted,
  NoCredential,
  renderFault,
  SaveError,
  type Situation,
  UsageError,
} from '../../src/cli/fault';
import { createPaint } from '../../src/cli/paint';
import { ConnectionFailed, ForemanError, GenerationFailed } from '../../src/client/errors';
import { requestLike } from './support';

const situation: Situation = { url: 'https://foreman.test', collectBy: ['foreman get req_1'] };

const answered = (status: number, code: string, retryAfterMs: number | null = null) =>
  new ForemanError({
    status,
    problem: {
      type: 'about:blank',
      title: 'T',
      status,
      code,
      detail: 'It is so.',
      correlation_id: 'c-1',
      errors: [{ path: 'width', message: 'too wide' }],
    },
    correlationId: 'c-1',
    retryAfterMs,
    idempotencyKey: null,
  });

describe('the exit code', () => {
  it.each([
    [400, 'malformed_json', 2],
    [422, 'invalid_request', 2],
    [422, 'unknown_model', 2],
    [422, 'no_target_available', 1],
    [422, 'budget_exceeded', 1],
    [401, 'unauthorized', 3],
    [403, 'account_suspended', 3],
    [404, 'not_found', 4],
    [410, 'gone', 4],
    [409, 'conflict', 1],
    [429, 'rate_limited', 5],
    [500, 'internal_error', 5],
    [503, 'unavailable', 5],
  ])('of a %i %s is %i', (status, code, exitCode) => {
    expect(exitCodeOfStatus(status, code)).toBe(exitCode);
    expect(faultOf(answered(status, code), situation).exitCode).toBe(exitCode);
  });

  it.each<[string, Error, number]>([
    ['usage', new UsageError('no'), 2],
    ['no_credential', new NoCredential('no'), 3],
    ['not_saved', new SaveError('no'), 1],
    ['interrupted', new Interrupted('no'), 130],
    ['connection_failed', new ConnectionFailed(new Error('no'), null), 5],
    ['unexpected', new TypeError('no'), 1],
  ])('of what is known as %s', (code, error, exitCode) => {
    const fault = faultOf(error, situation);
    expect([fault.problem.code, fault.exitCode]).toEqual([code, exitCode]);
  });

  it.each(['failed', 'expired', 'canceled'] as const)('of a request that %s is 1', (status) => {
    const fault = faultOf(new GenerationFailed(requestLike({ status })), situation);
    expect([fault.problem.code, fault.exitCode]).toEqual([status, 1]);
  });
});

describe('what is said of a failure', () => {
  const said = (error: unknown, more: Partial<Situation> = {}) =>
    renderFault(faultOf(error, { ...situation, ...more }), createPaint(false));

  it('is what, which, what to do, and the correlation id', () => {
    expect(said(answered(429, 'rate_limited', 7_000))).toBe(
      [
        'error: It is so. (rate_limited)',
        '  width: too wide',
        '  Try again in 7.0 s.',
        '  correlation id: c-1',
        '',
      ].join('\n'),
    );
  });

  it('names the address that did not answer, why, and what collects the result', () => {
    const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
    const text = said(
      new ConnectionFailed(new TypeError('fetch failed', { cause: refused }), 'k-1'),
    );
    expect(text).toContain('No answer from https://foreman.test (ECONNREFUSED).');
    expect(text).toContain('foreman get req_1');
  });

  it.each([
    ['get', 'foreman list'],
    ['webhooks', 'foreman webhooks list'],
    ['keys', 'foreman keys list <user>'],
  ])('of an id that `%s` does not find is where to look it up', (command, list) => {
    expect(said(answered(404, 'not_found'), { command })).toContain(`\n  \`${list}\` shows`);
  });

  it('names the address, and not a list, where a 404 is of another server', () => {
    const text = said(answered(404, 'unexpected_answer'), { command: 'get' });
    expect(text).toContain("https://foreman.test is Foreman's address");
    expect(text).not.toContain('foreman list');
  });

  it('has what collects the result where a gate on the way gave up waiting', () => {
    expect(said(answered(504, 'unexpected_answer'))).toContain('foreman get req_1');
  });

  it('of a key that leads to what has ended is how to ask anew, for who gave the key', () => {
    const canceled = new GenerationFailed(requestLike({ status: 'canceled' }));
    expect(said(canceled, { isKeyGiven: true })).toContain('another one, or none, makes a new');
    expect(said(canceled)).not.toContain('--idempotency-key');
  });

  it('has no escape sequences, whoever wrote it', () => {
    const request = requestLike({
      status: 'failed',
      error: { code: 'provider_failed', message: 'a\u001b]0;b\u0007', details: {} },
    });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: it is what must not be there
    expect(said(new GenerationFailed(request))).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
  });

  it('is the problem of the server as a document, with the request and its key', () => {
    const { problem } = faultOf(answered(422, 'invalid_request'), {
      ...situation,
      requestId: 'req_1',
      idempotencyKey: 'k-1',
    });
    expect(problem).toMatchObject({
      type: 'about:blank',
      status: 422,
      code: 'invalid_request',
      detail: 'It is so.',
      correlation_id: 'c-1',
      errors: [{ path: 'width', message: 'too wide' }],
      request_id: 'req_1',
      idempotency_key: 'k-1',
    });
  });
});
