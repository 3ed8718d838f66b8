// Why Google gives no image: in an error, and in a 200 that refuses the content.
import { describe, expect, it } from 'vitest';
import { createGoogleProvider } from '../../../src/generation/providers/google';
import { contextWith, jobWith } from '../../support/provider-jobs';
import { type Script, scriptedFetch } from '../../support/scripted-fetch';

const API_KEY = 'AIzaSyTestTestTestTestTestTestTest01';
const BASE_URL = 'https://google.test/v1beta';
const MODEL = 'gemini-2.5-flash-image';

const json = (body: unknown, init: ResponseInit = {}) => new Response(JSON.stringify(body), init);
const candidate = (fields: object) => ({ candidates: [{ index: 0, ...fields }] });

async function answerTo(script: Script) {
  const scripted = scriptedFetch({ [`POST ${BASE_URL}/models/${MODEL}:generateContent`]: script });
  const openImage = async () => {
    throw new Error('google answers with no URLs');
  };
  const provider = createGoogleProvider(
    { apiKey: API_KEY, baseUrl: BASE_URL },
    { fetch: scripted.fetch, openImage },
  );
  const answer = await provider.generate(jobWith({ model: MODEL }), contextWith());
  expect(scripted.unlisted).toEqual([]);
  expect(scripted.calls).toHaveLength(1);
  return answer;
}

describe('a 200 that refuses the content', () => {
  const rating = (category: string, blocked?: boolean) => ({
    category,
    probability: blocked ? 'HIGH' : 'LOW',
    ...(blocked ? { blocked } : {}),
  });
  const refusals: [name: string, body: object, stage: string, code: string, names: string[]][] = [
    [
      'by its prompt, with the ratings that blocked it',
      {
        promptFeedback: {
          blockReason: 'SAFETY',
          safetyRatings: [
            rating('HARM_CATEGORY_SEXUALLY_EXPLICIT', true),
            rating('HARM_CATEGORY_HARASSMENT'),
          ],
        },
      },
      'input',
      'SAFETY',
      ['sexually_explicit'],
    ],
    ...['OTHER', 'BLOCKLIST', 'PROHIBITED_CONTENT', 'IMAGE_SAFETY', 'A_REASON_TO_COME'].map(
      (reason): [string, object, string, string, string[]] => [
        `by its prompt: ${reason}`,
        { promptFeedback: { blockReason: reason } },
        'input',
        reason,
        [reason.toLowerCase()],
      ],
    ),
    ...[
      'SAFETY',
      'RECITATION',
      'BLOCKLIST',
      'PROHIBITED_CONTENT',
      'SPII',
      'IMAGE_SAFETY',
      'IMAGE_PROHIBITED_CONTENT',
      'IMAGE_RECITATION',
    ].map((reason): [string, object, string, string, string[]] => [
      `at its output: ${reason}`,
      candidate({ finishReason: reason }),
      'output',
      reason,
      [reason.toLowerCase()],
    ]),
    [
      'at its output, with the ratings that blocked it',
      candidate({
        content: {},
        finishReason: 'IMAGE_SAFETY',
        safetyRatings: [rating('HARM_CATEGORY_DANGEROUS_CONTENT', true)],
      }),
      'output',
      'IMAGE_SAFETY',
      ['dangerous_content'],
    ],
    [
      'in an answer of a shape that is not in the books',
      { ...candidate({ finishReason: 'IMAGE_SAFETY', content: { parts: 'none' } }) },
      'output',
      'IMAGE_SAFETY',
      ['image_safety'],
    ],
  ];
  it.each(refusals)('%s', async (_name, body, stage, code, categories) => {
    const answer = await answerTo(() => json({ ...body, responseId: 'r1' }));
    expect(answer).toMatchObject({
      outcome: 'refused',
      error: {
        code,
        details: {
          moderation: {
            stage,
            categories,
            provider: 'google',
            provider_code: code,
            account_level: false,
          },
        },
      },
      providerRequestId: 'r1',
      possiblyBilled: stage === 'output',
    });
  });

  it('keeps its own words, without those of the prompt', async () => {
    const finishMessage = 'Unable to show "a lighthouse at dusk". Try rephrasing the prompt.';
    const answer = await answerTo(() =>
      json(candidate({ finishReason: 'IMAGE_SAFETY', finishMessage })),
    );
    expect(answer).toMatchObject({
      error: { message: 'Unable to show "[prompt]". Try rephrasing the prompt.' },
    });
  });
});

describe('a 200 without an image that refuses nothing is invalid output, and may be billed', () => {
  const text = { content: { parts: [{ text: 'I would rather describe it.' }] } };
  const cases: [name: string, body: string, details: object][] = [
    [
      'NO_IMAGE',
      JSON.stringify(candidate({ finishReason: 'NO_IMAGE' })),
      { provider_code: 'NO_IMAGE' },
    ],
    [
      'words',
      JSON.stringify(candidate({ ...text, finishReason: 'STOP' })),
      { provider_code: 'STOP' },
    ],
    ['no candidates', '{}', {}],
    [
      'feedback that blocks nothing',
      JSON.stringify({ promptFeedback: { blockReason: 'BLOCK_REASON_UNSPECIFIED' } }),
      {},
    ],
    ['an HTML page', '<!DOCTYPE html><html></html>', {}],
    ['malformed JSON', '{"candidates": [', {}],
    ['nothing at all', '', {}],
  ];
  it.each(cases)('%s', async (_name, body, details) => {
    const answer = await answerTo(() => new Response(body));
    expect(answer).toMatchObject({
      outcome: 'failed',
      error: { code: 'invalid_output', details },
      possiblyBilled: true,
    });
  });

  it('and a model that would go on is not asked again, which would be paid for', async () => {
    const answer = await answerTo(() =>
      json(candidate({ finishReason: 'CONTINUATION', continuationToken: 't' })),
    );
    expect(answer).toMatchObject({ outcome: 'failed', error: { code: 'invalid_output' } });
  });
});

describe('an error has one outcome', () => {
  const info = (reason: string) => ({
    '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
    reason,
  });
  const retryInfo = (retryDelay: string) => ({
    '@type': 'type.googleapis.com/google.rpc.RetryInfo',
    retryDelay,
  });
  const quota = (quotaValue: string) => ({
    '@type': 'type.googleapis.com/google.rpc.QuotaFailure',
    violations: [{ quotaId: 'GenerateRequestsPerDay', quotaValue }],
  });
  const rejected = (kind: string, code: string) => ({
    outcome: 'rejected',
    error: { code, details: { kind } },
    possiblyBilled: false,
  });
  const throttled = (code: string, retryAfterMs: number | null) => ({
    outcome: 'throttled',
    error: { code },
    retryAfterMs,
    possiblyBilled: false,
  });
  type Case = [
    status: number,
    error: { status: string; message?: string; details?: object[] },
    expected: object,
  ];
  const cases: Case[] = [
    [400, { status: 'INVALID_ARGUMENT' }, rejected('parameter', 'INVALID_ARGUMENT')],
    [
      400,
      { status: 'INVALID_ARGUMENT', details: [info('API_KEY_INVALID')] },
      rejected('auth', 'API_KEY_INVALID'),
    ],
    [
      400,
      { status: 'INVALID_ARGUMENT', message: 'API key expired. Please renew the API key.' },
      rejected('auth', 'INVALID_ARGUMENT'),
    ],
    [
      400,
      { status: 'FAILED_PRECONDITION', message: 'User location is not supported for the API use.' },
      rejected('auth', 'FAILED_PRECONDITION'),
    ],
    [
      400,
      {
        status: 'FAILED_PRECONDITION',
        message: 'The free tier is not available in your country. Please enable billing.',
      },
      rejected('payment', 'FAILED_PRECONDITION'),
    ],
    [401, { status: 'UNAUTHENTICATED' }, rejected('auth', 'UNAUTHENTICATED')],
    [403, { status: 'PERMISSION_DENIED' }, rejected('auth', 'PERMISSION_DENIED')],
    [
      403,
      { status: 'PERMISSION_DENIED', details: [info('BILLING_DISABLED')] },
      rejected('payment', 'BILLING_DISABLED'),
    ],
    [404, { status: 'NOT_FOUND' }, rejected('not_found', 'NOT_FOUND')],
    [
      429,
      { status: 'RESOURCE_EXHAUSTED', details: [quota('10'), retryInfo('34s')] },
      throttled('RESOURCE_EXHAUSTED', 34_000),
    ],
    [
      429,
      { status: 'RESOURCE_EXHAUSTED', details: [retryInfo('0.074824224s')] },
      throttled('RESOURCE_EXHAUSTED', 75),
    ],
    [
      429,
      { status: 'RESOURCE_EXHAUSTED', details: [info('RATE_LIMIT_EXCEEDED'), retryInfo('soon')] },
      throttled('RATE_LIMIT_EXCEEDED', null),
    ],
    [
      429,
      { status: 'RESOURCE_EXHAUSTED', details: [quota('0'), retryInfo('45s')] },
      rejected('payment', 'RESOURCE_EXHAUSTED'),
    ],
    [
      429,
      { status: 'RESOURCE_EXHAUSTED', message: 'Your prepayment credits are depleted.' },
      rejected('payment', 'RESOURCE_EXHAUSTED'),
    ],
    [
      503,
      { status: 'UNAVAILABLE', details: [info('MODEL_CAPACITY_EXHAUSTED'), retryInfo('9s')] },
      throttled('MODEL_CAPACITY_EXHAUSTED', 9_000),
    ],
    [
      503,
      { status: 'UNAVAILABLE', message: 'The model is overloaded. Please try again later.' },
      throttled('MODEL_OVERLOADED', null),
    ],
    [503, { status: 'UNAVAILABLE' }, { outcome: 'failed', error: { code: 'UNAVAILABLE' } }],
    [500, { status: 'INTERNAL' }, { outcome: 'failed', error: { code: 'INTERNAL' } }],
    [
      504,
      { status: 'DEADLINE_EXCEEDED' },
      { outcome: 'unknown', error: { code: 'gateway_timeout' }, possiblyBilled: true },
    ],
  ];
  it.each(cases)('%i %j', async (status, error, expected) => {
    const answer = await answerTo(() =>
      json({ error: { code: status, message: 'No.', ...error } }, { status }),
    );
    expect(answer).toMatchObject(expected);
  });

  it('shows the key to nobody, though Google quotes it', async () => {
    const answer = await answerTo(() =>
      json(
        {
          error: {
            code: 403,
            status: 'PERMISSION_DENIED',
            message: `Consumer 'api_key:${API_KEY}' has been suspended.`,
          },
        },
        { status: 403 },
      ),
    );
    expect(answer).toMatchObject({
      error: { message: "Consumer 'api_key:[key]' has been suspended." },
    });
  });

  it('without a body that can be read is judged by its status', async () => {
    const answer = await answerTo(() => new Response('<html>', { status: 502 }));
    expect(answer).toMatchObject({
      outcome: 'failed',
      error: { code: 'server_error', message: 'google answered with status 502' },
    });
  });
});
