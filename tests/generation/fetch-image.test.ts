import { describe, expect, it } from 'vitest';
import { createOpenImage, fetchImageBytes } from '../../src/generation/fetch-image';
import { MAX_IMAGE_BYTES } from '../../src/images/types';
import { createFetchUntrusted, createOpenUntrusted } from '../../src/platform/fetch-untrusted';
import { scriptedFetch } from '../support/scripted-fetch';

const URL_1 = 'https://images.example.com/a.png';
const never = new AbortController().signal;

function world(answer: () => Response | Promise<Response>) {
  const { fetch, calls } = scriptedFetch({ [`GET ${URL_1}`]: answer });
  const deps = { fetch, allowLocal: false, ownHosts: [] };
  const limits = { timeoutMs: 5_000, maxBytes: 100 };
  return {
    calls,
    open: createOpenImage(createOpenUntrusted(deps)),
    bytes: (signal = never, url = URL_1) =>
      fetchImageBytes(createFetchUntrusted(deps), { url, signal, ...limits }),
  };
}

/** Whether another try would find the same, and what the caller is told. */
const failures: [string, () => Response, boolean, string][] = [
  [
    'a redirect',
    () => Response.redirect('https://example.com/'),
    true,
    'The image’s URL answered 302.',
  ],
  ['404', () => new Response('no', { status: 404 }), true, 'The image’s URL answered 404.'],
  ['429', () => new Response('no', { status: 429 }), false, 'The image’s URL answered 429.'],
  ['500', () => new Response('no', { status: 500 }), false, 'The image’s URL answered 500.'],
  [
    'a lost connection',
    () => {
      throw new Error('reset by 10.1.2.3');
    },
    false,
    'The image cannot be fetched: The connection failed.',
  ],
];

describe('an image by URL', () => {
  it('is opened with its length, or comes as bytes', async () => {
    const { open, bytes } = world(
      () => new Response('image', { headers: { 'content-length': '5' } }),
    );
    const opened = await open(URL_1, never);
    expect(opened.length).toBe(5);
    expect(await new Response(opened.body).text()).toBe('image');
    expect(await bytes()).toEqual({ ok: true, bytes: new TextEncoder().encode('image') });
  });

  it.each(failures)('that answers with %s is none', async (_, answer, final, reason) => {
    const { open, bytes } = world(answer);
    await expect(open(URL_1, never)).rejects.toThrow(new Error(reason));
    expect(await bytes()).toEqual({ ok: false, final, reason });
  });

  it('that may not be called is never called', async () => {
    const { open, bytes, calls } = world(() => new Response());
    await expect(open('https://10.0.0.1/', never)).rejects.toThrow(/private/);
    expect(await bytes(never, 'https://10.0.0.1/')).toMatchObject({ ok: false, final: true });
    expect(calls).toEqual([]);
  });

  it('is given up with the signal', async () => {
    const { open, bytes, calls } = world(() => new Promise(() => {}));
    const given = () => AbortSignal.timeout(20);
    await expect(open(URL_1, given())).rejects.toThrow('The call was given up.');
    expect(await bytes(given())).toMatchObject({ ok: false, final: false });
    expect(calls).toHaveLength(2);
  });

  it('has its body cancelled when it is not an image', async () => {
    let cancelled = false;
    const body = new ReadableStream({
      cancel() {
        cancelled = true;
      },
    });
    const { open } = world(() => new Response(body, { status: 404 }));
    await expect(open(URL_1, never)).rejects.toThrow('404');
    expect(cancelled).toBe(true);
  });

  it('that is too large hands out a byte too many, so that its reader can tell', async () => {
    const chunk = new Uint8Array(MAX_IMAGE_BYTES);
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(chunk);
        controller.enqueue(chunk);
        controller.close();
      },
    });
    const { open } = world(() => new Response(body));
    const reader = (await open(URL_1, never)).body.getReader();
    expect((await reader.read()).value).toHaveLength(MAX_IMAGE_BYTES);
    expect((await reader.read()).value).toHaveLength(1);
    await expect(reader.read()).rejects.toThrow(/larger than/);
  });
});
