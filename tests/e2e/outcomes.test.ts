/**
 * What a provider may do to a call, over real sockets, and what the ledger then says of it. Each case
 * scripts the calls of one request; after its script the provider answers well.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Behaviour, type FakeOpenAi, startFakeOpenAi } from '../support/fake-openai.ts';
import type { RequestView } from './support/api.ts';
import { type Receiver, startReceiver } from './support/receiver.ts';
import { type Server, startServer, type User } from './support/server.ts';
import { inParallel, until } from './support/until.ts';

const PROVIDER_TIMEOUT_MS = 1_500;

let fake: FakeOpenAi;
let receiver: Receiver;
let server: Server;
let user: User;

beforeAll(async () => {
  fake = await startFakeOpenAi();
  receiver = await startReceiver();
  server = await startServer({
    OPENAI_API_KEY: 'e2e',
    OPENAI_BASE_URL: fake.baseUrl,
    PROVIDER_TIMEOUT_MS: String(PROVIDER_TIMEOUT_MS),
  });
  user = await server.createUser();
  receiver.trust(user.webhookSecret);
});

afterAll(async () => {
  await server?.close();
  await receiver?.close();
  await fake?.close();
});

beforeEach(() => fake.reset());

const submit = (fields: Record<string, unknown> = {}) =>
  user.api.submit({
    model: 'gpt-image-1',
    prompt: 'a quiet harbour',
    webhook_url: receiver.url('/outcomes'),
    ...fields,
  });

/** One line per attempt, as the ledger has it. */
const ledger = ({ attempts }: RequestView) =>
  attempts.map(({ outcome, error, possibly_billed }) =>
    [outcome, error?.code ?? '', possibly_billed ? 'possibly billed' : ''].join(' ').trim(),
  );

const endOf = (request: RequestView) =>
  request.error ? `${request.status} ${request.error.code}` : request.status;

interface Case {
  readonly says: string;
  readonly script: Behaviour[];
  readonly fields?: Record<string, unknown>;
  readonly end: string;
  readonly attempts: string[];
}

const one = { max_attempts: 1 };
const unknownTimeout = 'unknown timeout possibly billed';
const unknownLost = 'unknown connection_lost possibly billed';
const notAnImage = 'failed invalid_output possibly billed';

const cases: Case[] = [
  {
    says: 'an answer with images is a success',
    script: [{ mode: 'ok' }],
    end: 'succeeded',
    attempts: ['succeeded'],
  },
  {
    says: 'an answer that trickles in is a success',
    script: [{ mode: 'trickle' }],
    end: 'succeeded',
    attempts: ['succeeded'],
  },
  {
    says: 'an image that is answered by url is fetched',
    script: [{ mode: 'url' }],
    fields: one,
    end: 'succeeded',
    attempts: ['succeeded'],
  },
  {
    says: 'a 500 is a failure, and another attempt follows',
    script: [{ mode: 500 }],
    end: 'succeeded',
    attempts: ['failed server_error', 'succeeded'],
  },
  {
    says: 'a 500 at the last attempt ends the request',
    script: [{ mode: 500 }],
    fields: one,
    end: 'failed provider_failed',
    attempts: ['failed server_error'],
  },
  {
    says: 'a bare 502 of a gateway is a failure',
    script: [{ mode: 502 }],
    fields: one,
    end: 'failed provider_failed',
    attempts: ['failed server_error'],
  },
  {
    says: 'a 503 without Retry-After is a failure',
    script: [{ mode: 503 }],
    fields: one,
    end: 'failed provider_failed',
    attempts: ['failed service_unavailable'],
  },
  {
    says: 'a 503 with Retry-After is a throttle',
    script: [{ mode: 503, retryAfter: '1' }],
    end: 'succeeded',
    attempts: ['throttled service_unavailable', 'succeeded'],
  },
  {
    says: 'a 504 leaves open whether the call goes on',
    script: [{ mode: 504 }],
    fields: one,
    end: 'failed provider_failed',
    attempts: ['unknown gateway_timeout possibly billed'],
  },
  {
    says: 'a hang is unknown, and one more dispatch follows',
    script: [{ mode: 'hang' }],
    end: 'succeeded',
    attempts: [unknownTimeout, 'succeeded'],
  },
  {
    says: 'a second hang ends the request: there is no third dispatch',
    script: [{ mode: 'hang' }, { mode: 'hang' }],
    end: 'failed provider_failed',
    attempts: [unknownTimeout, unknownTimeout],
  },
  {
    says: 'with retry_unknown false nothing follows a hang',
    script: [{ mode: 'hang' }],
    fields: { retry_unknown: false },
    end: 'failed provider_failed',
    attempts: [unknownTimeout],
  },
  {
    says: 'a reset after the body was sent is unknown',
    script: [{ mode: 'reset-after-body', delayMs: 200 }],
    end: 'succeeded',
    attempts: [unknownLost, 'succeeded'],
  },
  {
    says: 'a reset in the middle of the answer is unknown',
    script: [{ mode: 'reset-mid-answer' }],
    fields: one,
    end: 'failed provider_failed',
    attempts: [unknownLost],
  },
  {
    says: 'JSON that is cut off is no valid output, and may be billed',
    script: [{ mode: 'malformed-json' }],
    fields: one,
    end: 'failed invalid_output',
    attempts: [notAnImage],
  },
  {
    says: 'half of a PNG is no valid output, and may be billed',
    script: [{ mode: 'truncated-png' }],
    fields: one,
    end: 'failed invalid_output',
    attempts: [notAnImage],
  },
  {
    says: 'an HTML page with status 200 is no valid output',
    script: [{ mode: 'html' }],
    fields: one,
    end: 'failed invalid_output',
    attempts: [notAnImage],
  },
  {
    says: 'an answer without images is no valid output',
    script: [{ mode: 'empty-data' }],
    fields: one,
    end: 'failed invalid_output',
    attempts: [notAnImage],
  },
  {
    says: 'invalid output is tried again like any failure',
    script: [{ mode: 'truncated-png' }],
    end: 'succeeded',
    attempts: [notAnImage, 'succeeded'],
  },
  {
    says: 'moderation of the prompt ends the request at once, unbilled',
    script: [{ mode: 'moderation-input' }],
    end: 'failed content_refused',
    attempts: ['refused moderation_blocked'],
  },
  {
    says: 'moderation of the image ends the request at once, possibly billed',
    script: [{ mode: 'moderation-output' }],
    end: 'failed content_refused',
    attempts: ['refused moderation_blocked possibly billed'],
  },
  {
    says: 'a 400 is rejected, and is not tried again',
    script: [{ mode: 400 }],
    end: 'failed provider_failed',
    attempts: ['rejected invalid_request_error'],
  },
  {
    says: 'a wrong provider key is rejected, and is not tried again',
    script: [{ mode: 401 }],
    end: 'failed provider_failed',
    attempts: ['rejected invalid_api_key'],
  },
  {
    says: 'a model the provider lacks is rejected, and is not tried again',
    script: [{ mode: 404 }],
    end: 'failed provider_failed',
    attempts: ['rejected model_not_found'],
  },
  {
    says: 'an unpaid bill is rejected, though its status is 429',
    script: [{ mode: 'quota' }],
    end: 'failed provider_failed',
    attempts: ['rejected insufficient_quota'],
  },
];

describe('what a provider does decides the outcome', () => {
  it.each(cases)('$says', async ({ script, fields, end, attempts }) => {
    fake.queue(...script);
    const { id } = await submit(fields);
    const request = await user.api.ended(id);
    expect([endOf(request), ledger(request)]).toEqual([end, attempts]);
    expect(fake.calls.length).toBe(attempts.length);
    expect(request.images.length).toBe(end === 'succeeded' ? 1 : 0);
    const [event] = await until('its webhook', () => {
      const calls = receiver.accepted(id);
      return calls.length > 0 && calls;
    });
    expect(event?.event.type).toBe(`request.${request.status}`);
  });

  it('says at which stage moderation stepped in, in the error and in the attempt', async () => {
    for (const stage of ['input', 'output'] as const) {
      fake.queue({ mode: `moderation-${stage}` });
      const request = await user.api.ended((await submit()).id);
      const moderation = expect.objectContaining({ stage, categories: ['sexual', 'violence'] });
      expect(request.error?.details.moderation).toEqual(moderation);
      expect(request.attempts[0]?.error?.details.moderation).toEqual(moderation);
    }
  });

  it('counts what may have been billed into the cost', async () => {
    fake.queue({ mode: 'hang' });
    const request = await user.api.ended((await submit()).id);
    expect(request.attempts.map((attempt) => attempt.cost_usd)).toEqual([0.25, 0.042_34]);
    expect(request.cost_usd).toBe(0.292_34);
  });

  it('waits as long as a 429 with Retry-After asks for, and says so meanwhile', async () => {
    fake.queue({ mode: 429, retryAfter: '2' });
    const { id } = await submit();
    const waiting = await until('it is throttled', async () => (await user.api.read(id)).waiting);
    expect(waiting.reason).toBe('throttled');
    const request = await user.api.ended(id);
    expect(ledger(request)).toEqual(['throttled rate_limit_exceeded', 'succeeded']);
    const [first, second] = request.attempts;
    expect(first?.error?.details.retry_after_ms).toBe(2_000);
    const pauseMs = Date.parse(second?.started_at ?? '') - Date.parse(first?.completed_at ?? '');
    expect(pauseMs).toBeGreaterThanOrEqual(2_000);
    expect(Date.parse(waiting.next_attempt_at ?? '')).toBeLessThanOrEqual(
      Date.parse(second?.started_at ?? ''),
    );
  });

  it('falls back to the next target at once, and says why', async () => {
    fake.queue({ mode: 500 });
    const request = await user.api.ended((await submit({ model: 'auto' })).id);
    expect(request.attempts.map(({ provider, reason }) => [provider, reason])).toEqual([
      ['openai', 'first choice'],
      ['sketch', 'fallback after failed on openai/gpt-image-1'],
    ]);
    expect(request.status).toBe('succeeded');
  });

  it('does not take a refused prompt to another provider', async () => {
    fake.queue({ mode: 'moderation-input' });
    const request = await user.api.ended((await submit({ model: 'auto' })).id);
    expect([endOf(request), request.attempts.length]).toEqual(['failed content_refused', 1]);
  });

  it('outlives five seconds of 500s', async () => {
    fake.setBehaviour({ mode: 500 });
    const submitted = await inParallel([1, 2, 3, 4, 5], 5, () => submit({ max_attempts: 10 }));
    const healsAt = Date.now() + 5_000;
    await until('five seconds have passed', () => Date.now() >= healsAt);
    fake.setBehaviour({ mode: 'ok' });
    const ended = await inParallel(submitted, 5, ({ id }) => user.api.ended(id, 60_000));
    for (const request of ended) {
      const outcomes = ledger(request);
      expect(outcomes.at(-1)).toBe('succeeded');
      expect(outcomes.length).toBeGreaterThan(1);
      expect(new Set(outcomes.slice(0, -1))).toEqual(new Set(['failed server_error']));
    }
  });

  it('knows that a refused port took no call, and calls again when it is back', async () => {
    const notSent = 'not_sent connection_failed';
    const port = Number(new URL(fake.baseUrl).port);
    await fake.close();
    const down = await inParallel([1, 2, 3, 4, 5, 6], 1, async () =>
      user.api.ended((await submit(one)).id),
    );
    // A refusal that a busy machine reports late is told from a lost call by nothing.
    const late = down.filter((request) => ledger(request)[0] === unknownLost);
    const known = down.filter((request) => ledger(request)[0] === notSent);
    expect(known.length + late.length).toBe(down.length);
    expect(known.length).toBeGreaterThanOrEqual(4);
    expect(new Set(down.map(endOf))).toEqual(new Set(['failed provider_failed']));
    expect(known.map((request) => request.cost_usd)).toEqual(known.map(() => 0));

    const { id } = await submit({ max_attempts: 10 });
    await until('a first attempt has failed', async () =>
      (await user.api.read(id)).attempts.some((attempt) => attempt.outcome !== null),
    );
    fake = await startFakeOpenAi({ port });
    const request = await user.api.ended(id, 60_000);
    const outcomes = ledger(request);
    expect(outcomes.at(-1)).toBe('succeeded');
    expect(outcomes[0]).toBeOneOf([notSent, unknownLost]);
    expect(fake.calls.length).toBe(1);
  });

  it('tells no webhook twice and signs each', () => {
    expect(receiver.forged).toEqual([]);
    const ids = receiver.received.map((call) => call.event.data.id);
    expect(ids.length).toBe(new Set(ids).size);
  });
});
