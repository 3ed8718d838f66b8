// From a prompt to images over lines that break: one key, one request, paid for once.
import { describe, expect, it } from 'vitest';
import {
  ConnectionFailed,
  ForemanError,
  type ForemanRequest,
  GenerationFailed,
  WaitTimedOut,
} from '../../src/client/index';
import {
  type Client,
  held,
  image,
  newClient,
  openai,
  serverError,
  useWorld,
} from '../journeys/support';
import {
  answered,
  boat,
  broken,
  brokenOff,
  type Fault,
  foremanOn,
  lineWith,
  lost,
  painted,
  passed,
  quickTime,
} from './support';

useWorld();

describe('generate', () => {
  it('brings the images, and tells of every version that it sees', async () => {
    const line = lineWith();
    const foreman = foremanOn(line, await newClient());
    const gate = held();
    openai(gate.answer);
    const seen: ForemanRequest[] = [];
    const onUpdate = (request: ForemanRequest) => {
      seen.push(request);
      if (request.status === 'running') gate.open();
    };
    const { request, images } = await foreman.generate({ ...painted, n: 2 }, { onUpdate });
    expect(request.status).toBe('succeeded');
    expect(images).toEqual(request.images);
    expect(images.length).toBeGreaterThan(0);
    const versions = seen.map(({ version }) => version);
    expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
    expect(seen.at(-1)).toEqual(request);
    const polls = line.requests.filter(({ method }) => method === 'GET');
    expect(polls.length).toBeGreaterThan(0);
    for (const { headers } of polls) {
      expect(headers.get('prefer')).toBe('wait=30');
      expect(headers.get('if-none-match')).toMatch(/^"\d+"$/);
    }
  });

  it.each([
    ['lost', lost],
    ['broken off', brokenOff],
  ])('whose answer is %s asks again with its key: one request, paid for once', async (_, fault) => {
    const client = await newClient();
    const calls = openai(image);
    const line = lineWith(fault, broken, answered(502));
    const { request } = await foremanOn(line, client).generate(painted);
    const posts = line.requests.filter(({ method }) => method === 'POST');
    expect(posts).toHaveLength(4);
    expect(new Set(posts.map(({ headers }) => headers.get('idempotency-key'))).size).toBe(1);
    expect(calls).toHaveLength(1);
    expect(await countOf(client)).toBe(1);
    const me = await foremanOn(lineWith(), client).me();
    expect(me.images.used).toBe(1);
    expect(me.budget.spent_usd).toBe(request.cost_usd);
  });

  it('that is run again with the same key has the result of the first', async () => {
    const client = await newClient();
    const calls = openai(image);
    const options = { idempotencyKey: 'one-picture' };
    const first = await foremanOn(lineWith(), client).generate(painted, options);
    const again = await foremanOn(lineWith(), client).generate(painted, options);
    expect(again.request).toEqual(first.request);
    expect(again.images.map(({ id }) => id)).toEqual(first.images.map(({ id }) => id));
    expect(calls).toHaveLength(1);
  });

  it('waits as long as it is told to where more comes than its user may send', async () => {
    const client = await newClient({ requests_per_minute: 2, burst: 1 });
    const foreman = foremanOn(lineWith(), client);
    await foreman.requests.submit(boat);
    const { within, pauses } = quickTime();
    const line = lineWith();
    const fault = await foremanOn(line, client, within, { maxRetries: 1 })
      .generate(boat, { idempotencyKey: 'later' })
      .catch((error: unknown) => error);
    expect(fault).toBeInstanceOf(ForemanError);
    expect(fault).toMatchObject({ status: 429, code: 'rate_limited', idempotencyKey: 'later' });
    expect((fault as ForemanError).retryAfterMs).toBeGreaterThan(0);
    expect(pauses).toHaveLength(1);
    expect(pauses[0]).toBeGreaterThan(10_000);
    expect(await countOf(client)).toBe(1);
  });

  it.each([
    ['failed', serverError, { max_attempts: 1 }],
    ['canceled', held().answer, {}],
  ] as const)('ends with the request when that has %s', async (status, script, fields) => {
    const client = await newClient();
    openai(script);
    const foreman = foremanOn(lineWith(), client);
    const onUpdate = (request: ForemanRequest) => {
      if (status === 'canceled') void client.call('POST', `/v1/requests/${request.id}/cancel`);
    };
    const fault = await foreman
      .generate({ ...painted, ...fields }, { onUpdate })
      .catch((error: unknown) => error);
    expect(fault).toBeInstanceOf(GenerationFailed);
    expect((fault as GenerationFailed).request.status).toBe(status);
  });

  it.each([
    ['is held', ['prefer']],
    ['is held, and a version that is known is brought again', ['prefer', 'if-none-match']],
  ])('goes on at the pace it is told where no line %s', async (_, dropped) => {
    const client = await newClient();
    const gate = held();
    openai(gate.answer);
    const line = lineWith();
    const unheld: typeof fetch = (input, init) => {
      const request = new Request(input, init);
      for (const name of dropped) request.headers.delete(name);
      return line.fetch(request);
    };
    const { within, pauses } = quickTime(() => {
      if (pauses.length === 2) gate.open();
    });
    const versions: number[] = [];
    const onUpdate = ({ version }: ForemanRequest) => versions.push(version);
    const foreman = foremanOn({ fetch: unheld }, client, within);
    const { request } = await foreman.generate(painted, { onUpdate });
    expect(request.status).toBe('succeeded');
    expect(versions).toEqual([...new Set(versions)]);
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(1_000);
  });

  it('says with which key it can be collected when the line breaks while it waits', async () => {
    const client = await newClient();
    const gate = held();
    const calls = openai(gate.answer);
    const line = lineWith(passed, ...Array<Fault>(5).fill(broken));
    const fault = await foremanOn(line, client)
      .generate(painted)
      .catch((error: unknown) => error);
    gate.open();
    expect(fault).toBeInstanceOf(ConnectionFailed);
    const idempotencyKey = (fault as ConnectionFailed).idempotencyKey ?? '';
    const { images } = await foremanOn(lineWith(), client).generate(painted, { idempotencyKey });
    expect(images).toHaveLength(1);
    expect(calls).toHaveLength(1);
  });

  it('lets the request go on when its caller has waited enough', async () => {
    const client = await newClient();
    const gate = held();
    const calls = openai(gate.answer);
    const patience = new AbortController();
    const { within } = quickTime();
    const foreman = foremanOn(lineWith(), client, {
      ...within,
      limit: (ms) => (ms === 1_234 ? patience.signal : within.limit(ms)),
    });
    const onUpdate = () => patience.abort();
    const fault = await foreman
      .generate(painted, { timeoutMs: 1_234, onUpdate })
      .catch((error: unknown) => error);
    expect(fault).toBeInstanceOf(WaitTimedOut);
    const { idempotencyKey, request } = fault as WaitTimedOut;
    gate.open();
    const collected = await foremanOn(lineWith(), client).generate(painted, { idempotencyKey });
    expect(collected.request).toMatchObject({ id: request?.id, status: 'succeeded' });
    expect(calls).toHaveLength(1);
  });

  it('is refused with the fields that are wrong', async () => {
    const foreman = foremanOn(lineWith(), await newClient());
    const fault = await foreman
      .generate({ ...boat, width: 1, steps: 0 })
      .catch((error: unknown) => error);
    expect(fault).toBeInstanceOf(ForemanError);
    const { status, code, errors, correlationId, problem } = fault as ForemanError;
    expect([status, code]).toEqual([422, 'invalid_request']);
    expect(errors.map(({ path }) => path).sort()).toEqual(['steps', 'width']);
    expect(correlationId).toBe(problem?.correlation_id);
    expect(correlationId).toBeTruthy();
  });
});

/** How many requests the user has, by the foreman's own rows. */
const countOf = (client: Client) =>
  client.sql((sql) => sql.exec<{ n: number }>('SELECT count(*) AS n FROM requests').one().n);
