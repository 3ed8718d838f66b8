import { describe, expect, it } from 'vitest';
import { createOpenUntrusted, type UntrustedOpenRequest } from '../../src/platform/fetch-untrusted';

const URL_1 = 'https://images.example.com/a.png';
const SHORT_MS = 30;
const LIMITS = { headersTimeoutMs: 5_000, timeoutMs: 5_000, maxBytes: 10 };

/** A fetch that knows one URL, and the calls it saw. */
function createFake(handler: () => Response | Promise<Response>) {
  const calls: RequestInit[] = [];
  const fake = async (input: RequestInfo | URL, init: RequestInit = {}) => {
    if (String(input) !== URL_1) throw new Error(`unlisted URL ${String(input)}`);
    calls.push(init);
    return handler();
  };
  const policy = { allowLocal: false, ownHosts: ['api.foreman.dev'] };
  const openUntrusted = createOpenUntrusted({ fetch: fake as typeof fetch, ...policy });
  const call = (init: Partial<UntrustedOpenRequest> = {}, url = URL_1) =>
    openUntrusted(url, { ...LIMITS, signal: new AbortController().signal, ...init });
  const open = async (...input: Parameters<typeof call>) => {
    const opening = await call(...input);
    if (opening.outcome !== 'opened') throw new Error(opening.outcome);
    return opening;
  };
  return { calls, call, open };
}

/** Gives the chunks one by one, then ends, stalls or breaks. */
function streamOf(chunks: readonly string[], then: 'end' | 'stall' | 'break' = 'end') {
  const state = { given: 0, cancelled: false };
  const stream = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const chunk = chunks[state.given];
        if (chunk === undefined) {
          if (then === 'end') return controller.close();
          if (then === 'break') throw new TypeError('reset by 10.1.2.3');
          return new Promise<void>(() => {});
        }
        state.given += 1;
        controller.enqueue(new TextEncoder().encode(chunk));
      },
      cancel() {
        state.cancelled = true;
        // A hostile stream never says that it has stopped.
        return new Promise<void>(() => {});
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, state };
}
const text = (stream: ReadableStream) => new Response(stream).text();

describe('openUntrusted', () => {
  it('answers with status, headers, body and length, whatever the status', async () => {
    const headers = { 'content-length': '5', 'x-a': 'b' };
    const { open } = createFake(() => new Response('hello', { status: 418, headers }));
    const opening = await open();
    expect(opening).toMatchObject({ status: 418, length: 5 });
    expect(opening.headers.get('x-a')).toBe('b');
    expect(await text(opening.body)).toBe('hello');
  });

  it.each([
    ['is absent', {}],
    ['is no number', { 'content-length': '5, 6' }],
    ['is of the encoded bytes', { 'content-length': '5', 'content-encoding': 'gzip' }],
  ])('does not know a length that %s', async (_, headers) => {
    const { stream } = streamOf(['hello']);
    const { open } = createFake(
      () => ({ status: 200, headers: new Headers(headers), body: stream }) as Response,
    );
    const { length, body } = await open();
    expect(length).toBeNull();
    await body.cancel();
  });

  it('takes an answer without a body for an empty one', async () => {
    const { open } = createFake(() => new Response(null, { status: 204 }));
    expect(await text((await open()).body)).toBe('');
  });

  it.each([
    ['https://169.254.169.254/', /link-local/],
    ['http://example.com/', /must use https/],
    ['https://api.foreman.dev/', /this service itself/],
  ])('sends nothing to a URL that it refuses: %s', async (url, reason) => {
    const { call, calls } = createFake(() => new Response());
    const refused = { outcome: 'refused', reason: expect.stringMatching(reason) };
    expect(await call({}, url)).toEqual(refused);
    expect(calls).toHaveLength(0);
  });

  it('does not follow a redirect', async () => {
    const headers = { location: 'https://169.254.169.254/' };
    const { open, calls } = createFake(() => new Response(null, { status: 302, headers }));
    expect((await open()).status).toBe(302);
    expect(calls.map(({ redirect }) => redirect)).toEqual(['manual']);
  });

  it('reads no further than it is asked', async () => {
    const { stream, state } = streamOf(['a', 'b', 'c']);
    const { open } = createFake(() => new Response(stream));
    const { body } = await open();
    expect(state.given).toBe(0);
    const reader = body.getReader();
    await reader.read();
    await reader.read();
    expect(state.given).toBe(2);
    await reader.cancel();
    expect(state.cancelled).toBe(true);
  });

  it('hands out just maxBytes', async () => {
    const { stream, state } = streamOf(['01234', '56789']);
    const { open } = createFake(() => new Response(stream));
    expect(await text((await open()).body)).toBe('0123456789');
    expect(state.cancelled).toBe(false);
  });

  it.each([[['01234', '5678', '9ab']], [['01234', '56789', 'a']], [['0123456789a']]])(
    'ends in an error behind maxBytes, which come first: %j',
    async (chunks) => {
      const { stream, state } = streamOf(chunks, 'stall');
      const { open } = createFake(() => new Response(stream));
      const reader = (await open()).body.getReader();
      let read = '';
      const all = async () => {
        for (;;) read += new TextDecoder().decode((await reader.read()).value);
      };
      await expect(all()).rejects.toThrow(/^The answer is larger than 10 bytes\.$/);
      expect(read).toBe('0123456789');
      expect(state.cancelled).toBe(true);
    },
  );

  it('gives up on headers that do not come, and aborts the call', async () => {
    const { call, calls } = createFake(() => new Promise(() => {}));
    expect(await call({ headersTimeoutMs: SHORT_MS })).toEqual({
      outcome: 'failed',
      phase: 'sent',
      kind: 'timeout',
      message: `There was no whole answer within ${SHORT_MS} ms.`,
    });
    expect(calls[0]?.signal?.aborted).toBe(true);
  });

  it('lets a body take longer than its headers may', async () => {
    const { stream } = streamOf(['hello']);
    const { open } = createFake(() => new Response(stream));
    const { body } = await open({ headersTimeoutMs: SHORT_MS });
    await new Promise((resolve) => setTimeout(resolve, 2 * SHORT_MS));
    expect(await text(body)).toBe('hello');
  });

  it('ends a body that stalls when its time is up, and aborts the call', async () => {
    const { stream, state } = streamOf(['abc'], 'stall');
    const { open, calls } = createFake(() => new Response(stream));
    const { body } = await open({ timeoutMs: SHORT_MS });
    await expect(text(body)).rejects.toThrow(`There was no whole answer within ${SHORT_MS} ms.`);
    expect(state.cancelled).toBe(true);
    expect(calls[0]?.signal?.aborted).toBe(true);
  });

  it('ends a body that breaks off in words that quote nothing', async () => {
    const { stream } = streamOf(['abc'], 'break');
    const { open } = createFake(() => new Response(stream));
    await expect(text((await open()).body)).rejects.toThrow(/^The connection failed\.$/);
  });

  it('turns a lost connection into an outcome that quotes nothing', async () => {
    const { call } = createFake(() => {
      throw new Error('Network connection lost to 10.1.2.3');
    });
    const message = 'The connection failed.';
    expect(await call()).toMatchObject({ outcome: 'failed', kind: 'network', message });
  });

  it('leaves a call alone once its body has ended', async () => {
    const { open, calls } = createFake(() => new Response('ok'));
    await text((await open({ timeoutMs: SHORT_MS })).body);
    await new Promise((resolve) => setTimeout(resolve, 2 * SHORT_MS));
    expect(calls[0]?.signal?.aborted).toBe(false);
  });
});

describe('a signal', () => {
  it('that is over keeps everything from being sent', async () => {
    const { call, calls } = createFake(() => new Response());
    const canceled = { outcome: 'failed', phase: 'connect', kind: 'canceled' };
    expect(await call({ signal: AbortSignal.abort() })).toMatchObject(canceled);
    expect(calls).toHaveLength(0);
  });

  it('ends the wait for headers', async () => {
    const given = new AbortController();
    const { call } = createFake(() => {
      given.abort();
      return new Promise(() => {});
    });
    const canceled = { outcome: 'failed', phase: 'sent', kind: 'canceled' };
    expect(await call({ signal: given.signal })).toMatchObject(canceled);
  });

  it('ends a body in the middle', async () => {
    const given = new AbortController();
    const { stream, state } = streamOf(['abc'], 'stall');
    const { open } = createFake(() => new Response(stream));
    const reader = (await open({ signal: given.signal })).body.getReader();
    await reader.read();
    const next = reader.read();
    given.abort();
    await expect(next).rejects.toThrow('The call was given up.');
    expect(state.cancelled).toBe(true);
  });
});
