import { env } from 'cloudflare:workers';
import { OpenAPIHono } from '@hono/zod-openapi';
import { describe, expect, it } from 'vitest';
import { createAuthenticate } from '../../src/accounts/authenticate';
import { createReadKey, issueKey } from '../../src/accounts/keys/text';
import type { Scope } from '../../src/accounts/types';
import { createContentRoutes } from '../../src/images/content-routes';
import { imageIdOf } from '../../src/images/keys';
import { imageUrl, signedQuery, signedUrl } from '../../src/images/links';
import { createImageRoutes } from '../../src/images/routes';
import type { ImageId } from '../../src/images/types';
import { type HttpEnv, problemResponse, requestContext } from '../../src/platform/http';
import { newId, type UserId } from '../../src/platform/ids';
import { problemOf } from '../../src/problems';
import {
  anna,
  bodyOf,
  boris,
  bucketWith,
  contentOn,
  HOUR_MS,
  heldImage,
  images,
  imagesOn,
  maker,
  NOW,
  pngOf,
  storeImage,
} from './support';

const origin = 'https://foreman.test';
const linkSecret = 'a-link-signing-secret-of-some-length';
const signing = { newest: 1, secrets: new Map([[1, 'a-key-signing-secret-of-some-length!']]) };

function keyOf(userId: UserId): string {
  const keyId = newId('key', NOW);
  return issueKey({ userId, keyId, signing }).key;
}
const annasKey = keyOf(anna);
const borisKey = keyOf(boris);

function appWith(
  input: { bucket?: R2Bucket; now?: number; scopes?: readonly Scope[] } = {},
): OpenAPIHono<HttpEnv> {
  const now = () => input.now ?? NOW;
  const scopes = input.scopes ?? ['requests:read'];
  const authenticate = createAuthenticate({
    readKey: createReadKey(signing),
    adminToken: 'an-admin-token-of-sufficient-length',
    signIn: async () => null,
    authorize: async () => ({ ok: true, scopes, name: 'test', until: null }),
    countFailure: async () => {},
    now,
  });
  const app = new OpenAPIHono<HttpEnv>();
  app.use(requestContext(origin));
  const { bucket = env.IMAGES } = input;
  const deps = { authenticate, linkSecret, now };
  app.route('/', createContentRoutes({ ...deps, content: contentOn({ bucket }) }));
  app.route('/', createImageRoutes({ ...deps, images: imagesOn(bucket) }));
  app.onError((error, c) => {
    const { problem, details } = problemOf(error, c.get('correlationId'));
    if (problem.status === 500) throw error;
    return problemResponse(problem, details);
  });
  return app;
}

const app = appWith();
const get = (
  path: string,
  input: { key?: string; headers?: Record<string, string>; method?: string; app?: typeof app } = {},
) => {
  const headers = new Headers(input.headers);
  if (input.key) headers.set('authorization', `Bearer ${input.key}`);
  const url = path.startsWith('http') ? path : `${origin}${path}`;
  return (input.app ?? app).request(url, { method: input.method ?? 'GET', headers });
};
const contentPath = (id: string) => `/v1/images/${id}/content`;
const bytesOf = async (answer: Response) => new Uint8Array(await answer.arrayBuffer());
const codeOf = async (answer: Response) => (await answer.json<{ code: string }>()).code;
const linkTo = (imageId: ImageId, expiresAt: number) =>
  signedUrl({ origin, imageId, expiresAt, secret: linkSecret });

describe('content by key', () => {
  it('is the image, labelled so that no browser takes it for anything else', async () => {
    const { image } = await storeImage();
    const answer = await get(contentPath(image.id), { key: annasKey });
    expect(answer.status).toBe(200);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-type': 'image/png',
      'content-length': '100',
      'content-disposition': `inline; filename="${image.id}.png"`,
      'last-modified': 'Sat, 21 Nov 2026 12:00:00 GMT',
      'accept-ranges': 'bytes',
      'cache-control': 'private, max-age=3600',
      vary: 'Authorization',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; sandbox",
      'cross-origin-resource-policy': 'cross-origin',
    });
    expect(answer.headers.get('etag')).toMatch(/^"[^"]+"$/);
    expect(await bytesOf(answer)).toEqual(heldImage().bytes);
  });

  it('is cached no longer than the image lives', async () => {
    const { image } = await storeImage({ retentionMs: 90_999 });
    const answer = await get(contentPath(image.id), { key: annasKey });
    expect(answer.headers.get('cache-control')).toBe('private, max-age=90');
    await answer.body?.cancel();
  });

  it('is not sent again to a client that has it', async () => {
    const { image } = await storeImage();
    const first = await get(contentPath(image.id), { key: annasKey });
    await first.body?.cancel();
    const etag = first.headers.get('etag') ?? '';
    const headers = { 'if-none-match': `"other", ${etag}` };
    const again = await get(contentPath(image.id), { key: annasKey, headers });
    expect(again.status).toBe(304);
    expect(again.headers.get('etag')).toBe(etag);
    expect(again.headers.get('cache-control')).toBe('private, max-age=3600');
    expect(again.headers.get('content-type')).toBeNull();
    expect(await again.text()).toBe('');
  });

  it('comes whole when the client has another version', async () => {
    const { image } = await storeImage();
    const headers = { 'if-none-match': '"other"' };
    const answer = await get(contentPath(image.id), { key: annasKey, headers });
    expect(answer.status).toBe(200);
    expect(await bytesOf(answer)).toEqual(heldImage().bytes);
  });

  it('says its length to HEAD, and sends nothing', async () => {
    const { image } = await storeImage();
    const headers = { range: 'bytes=0-9' };
    const answer = await get(contentPath(image.id), { key: annasKey, method: 'HEAD', headers });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-length')).toBe('100');
    expect(answer.headers.get('content-type')).toBe('image/png');
    expect(await answer.text()).toBe('');
  });
});

describe('ranges', () => {
  it.each([
    ['bytes=0-9', 'bytes 0-9/100', 0, 10],
    ['bytes=95-', 'bytes 95-99/100', 95, 100],
    ['bytes=-5', 'bytes 95-99/100', 95, 100],
    ['bytes=0-5000', 'bytes 0-99/100', 0, 100],
  ])('%s is answered with just that', async (range, contentRange, from, to) => {
    const { image } = await storeImage();
    const answer = await get(contentPath(image.id), { key: annasKey, headers: { range } });
    expect(answer.status).toBe(206);
    expect(answer.headers.get('content-range')).toBe(contentRange);
    expect(answer.headers.get('content-length')).toBe(String(to - from));
    expect(answer.headers.get('content-type')).toBe('image/png');
    expect(await bytesOf(answer)).toEqual(heldImage().bytes.subarray(from, to));
  });

  it('one beyond the end is 416 and says how long the image is', async () => {
    const { image } = await storeImage();
    const headers = { range: 'bytes=100-' };
    const answer = await get(contentPath(image.id), { key: annasKey, headers });
    expect(answer.status).toBe(416);
    expect(answer.headers.get('content-range')).toBe('bytes */100');
    expect(await codeOf(answer)).toBe('range_not_satisfiable');
  });

  it('several at once are answered with the whole', async () => {
    const { image } = await storeImage();
    const headers = { range: 'bytes=0-9,20-29' };
    const answer = await get(contentPath(image.id), { key: annasKey, headers });
    expect(answer.status).toBe(200);
    expect(await bytesOf(answer)).toEqual(heldImage().bytes);
  });

  it('a download goes on only with the version it began with', async () => {
    const { image } = await storeImage();
    const first = await get(contentPath(image.id), { key: annasKey });
    await first.body?.cancel();
    const statusWith = async (ifRange: string) => {
      const headers = { range: 'bytes=50-', 'if-range': ifRange };
      const answer = await get(contentPath(image.id), { key: annasKey, headers });
      await answer.body?.cancel();
      return answer.status;
    };
    expect(await statusWith(first.headers.get('etag') ?? '')).toBe(206);
    expect(await statusWith('"another"')).toBe(200);
  });
});

describe('who may not', () => {
  it.each(['content', 'metadata'])('without a key or with a bad one: 401 (%s)', async (what) => {
    const { image } = await storeImage();
    const path = what === 'content' ? contentPath(image.id) : `/v1/images/${image.id}`;
    for (const key of ['', 'fm_forged', `${annasKey}x`]) {
      const answer = await get(path, { key });
      expect(answer.status).toBe(401);
      expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    }
  });

  it('without the scope: 403', async () => {
    const { image } = await storeImage();
    const writer = appWith({ scopes: ['requests:write'] });
    expect((await get(contentPath(image.id), { key: annasKey, app: writer })).status).toBe(403);
    expect((await get(`/v1/images/${image.id}`, { key: annasKey, app: writer })).status).toBe(403);
  });

  it('another user: 404, in the very words of an unknown image', async () => {
    const { image } = await storeImage();
    const unknown = imageIdOf({ requestId: newId('req', NOW), attempt: 1, index: 0 });
    const detailOf = async (id: string, headers: Record<string, string>) => {
      const answer = await get(contentPath(id), { key: borisKey, headers });
      expect(answer.status).toBe(404);
      return (await answer.json<{ detail: string }>()).detail;
    };
    const ways: Record<string, string>[] = [{}, { range: 'bytes=0-1' }, { 'if-none-match': '*' }];
    for (const headers of ways) {
      expect(await detailOf(image.id, headers)).toBe(await detailOf(unknown, headers));
    }
    expect((await get(`/v1/images/${image.id}`, { key: borisKey })).status).toBe(404);
  });

  it('too late: 404, by key and by link', async () => {
    const { image } = await storeImage();
    const late = appWith({ now: image.expiresAt });
    expect((await get(contentPath(image.id), { key: annasKey, app: late })).status).toBe(404);
    const link = linkTo(image.id, image.expiresAt + HOUR_MS);
    expect((await get(link, { app: late })).status).toBe(404);
  });

  it.each([
    'img_',
    'nothing',
    '%00',
    '%E2%82%AC',
    '%zz',
    '..%2f..%2fuploads',
    "1'%20OR%20'1",
    'a'.repeat(10_000),
  ])('an id that is none: 404 (%#)', async (id) => {
    for (const path of [contentPath(id), `/v1/images/${id}`]) {
      const answer = await get(path, { key: annasKey });
      expect(answer.status).toBe(404);
    }
  });

  it('while R2 fails: 503 with Retry-After', async () => {
    const { image } = await storeImage();
    const down = () => Promise.reject(new Error('down'));
    const broken = appWith({ bucket: bucketWith({ get: down, head: down }) });
    for (const path of [contentPath(image.id), `/v1/images/${image.id}`]) {
      const answer = await get(path, { key: annasKey, app: broken });
      expect(answer.status).toBe(503);
      expect(answer.headers.get('retry-after')).toBe('5');
      expect(await codeOf(answer)).toBe('unavailable');
    }
  });
});

describe('a signed link', () => {
  it('opens its image without a key, in shared caches for a minute', async () => {
    const { image } = await storeImage();
    const answer = await get(linkTo(image.id, image.expiresAt));
    expect(answer.status).toBe(200);
    expect(answer.headers.get('cache-control')).toBe('public, max-age=60');
    expect(answer.headers.get('vary')).toBeNull();
    expect(await bytesOf(answer)).toEqual(heldImage().bytes);
  });

  it('is cached no longer than it is good for', async () => {
    const { image } = await storeImage();
    const answer = await get(linkTo(image.id, NOW + 10_500));
    expect(answer.headers.get('cache-control')).toBe('public, max-age=10');
    await answer.body?.cancel();
  });

  it('takes ranges and conditions like a key does', async () => {
    const { image } = await storeImage();
    const link = linkTo(image.id, image.expiresAt);
    const part = await get(link, { headers: { range: 'bytes=10-19' } });
    expect(part.status).toBe(206);
    expect(await bytesOf(part)).toEqual(heldImage().bytes.subarray(10, 20));
    const etag = part.headers.get('etag') ?? '';
    expect((await get(link, { headers: { 'if-none-match': etag } })).status).toBe(304);
  });

  it('past its time is 410, and says what to do', async () => {
    const { image } = await storeImage();
    const answer = await get(linkTo(image.id, NOW));
    expect(answer.status).toBe(410);
    const problem = await answer.json<{ code: string; detail: string }>();
    expect(problem.code).toBe('gone');
    expect(problem.detail).toContain('This link has expired');
  });

  it('that was tampered with is 404, even with a good key', async () => {
    const { image } = await storeImage();
    const { image: other } = await storeImage();
    const { expires, signature } = signedQuery({
      imageId: image.id,
      expiresAt: image.expiresAt,
      secret: linkSecret,
    });
    const queries = [
      [other.id, `expires=${expires}&signature=${signature}`],
      [image.id, `expires=${Number(expires) + 1}&signature=${signature}`],
      [image.id, `expires=${expires}&signature=${signature.slice(1)}`],
      [image.id, `expires=${expires}`],
      [image.id, `signature=${signature}`],
      [image.id, 'expires=&signature='],
    ];
    for (const [id, query] of queries) {
      const answer = await get(`${contentPath(id ?? '')}?${query}`, { key: annasKey });
      expect(answer.status).toBe(404);
    }
  });

  it('of a deleted image is 404', async () => {
    const { image, requestId } = await storeImage();
    const link = linkTo(image.id, image.expiresAt);
    await images.removeAttempt({ requestId, attempt: 1, count: 1 });
    expect((await get(link)).status).toBe(404);
  });
});

describe('metadata', () => {
  it('tells all about the image, with addresses that work', async () => {
    const { image, requestId } = await storeImage();
    const answer = await get(`/v1/images/${image.id}`, { key: annasKey });
    expect(answer.status).toBe(200);
    const body = await answer.json<{ url: string; signed_url: string }>();
    expect(body).toEqual({
      id: image.id,
      url: imageUrl(origin, image.id),
      signed_url: linkTo(image.id, image.expiresAt),
      manifest_url: `${origin}/v1/images/${image.id}/manifest`,
      width: 64,
      height: 48,
      media_type: 'image/png',
      bytes: 100,
      sha256: image.sha256,
      seed: 7,
      model: maker.model,
      provider: maker.provider,
      provider_model: maker.providerModel,
      created_at: new Date(NOW).toISOString(),
      expires_at: new Date(NOW + HOUR_MS).toISOString(),
      request_id: requestId,
    });
    for (const [url, key] of [
      [body.url, annasKey],
      [body.signed_url, ''],
    ]) {
      const content = await get(url ?? '', key ? { key } : {});
      expect(content.status).toBe(200);
      await content.body?.cancel();
    }
  });

  it('needs no index: it is there before D1 knows of the image', async () => {
    const { image } = await storeImage();
    const row = await env.DB.prepare('SELECT 1 FROM images WHERE id = ?').bind(image.id).first();
    expect(row).toBeNull();
    expect((await get(`/v1/images/${image.id}`, { key: annasKey })).status).toBe(200);
  });
});

/** The least that is a GIF. */
const gifOf = (width: number, height: number) => {
  const head = Buffer.from('474946383961000000000000002c', 'hex');
  head.writeUInt16LE(width, 6);
  head.writeUInt16LE(height, 8);
  return new Uint8Array(Buffer.concat([head, Buffer.alloc(9), Buffer.from('020100003b', 'hex')]));
};

describe('bringing an image', () => {
  const writer = appWith({ scopes: ['requests:write', 'requests:read'] });
  const png = pngOf(1_000);
  const post = (
    body: BodyInit | null,
    headers: Record<string, string> = {},
    input: { key?: string; app?: typeof app } = {},
  ) =>
    (input.app ?? writer).request(`${origin}/v1/images`, {
      method: 'POST',
      headers: { authorization: `Bearer ${input.key ?? annasKey}`, ...headers },
      body,
    });

  it('answers 201 with what it is and where, and 200 with the same id to the same bytes', async () => {
    const first = await post(png, { 'content-type': 'image/png' });
    expect(first.status).toBe(201);
    const image = await first.json<Record<string, unknown>>();
    const digest = await crypto.subtle.digest('SHA-256', png);
    const sha256 = Buffer.from(digest).toString('hex');
    const id = imageIdOf({ userId: anna, sha256 });
    expect(first.headers.get('location')).toBe(`/v1/images/${id}`);
    expect(image).toEqual({
      id,
      url: imageUrl(origin, id),
      signed_url: linkTo(id, NOW + HOUR_MS),
      manifest_url: null,
      width: 64,
      height: 48,
      media_type: 'image/png',
      bytes: 1_000,
      sha256,
      seed: null,
      model: null,
      provider: null,
      provider_model: null,
      created_at: new Date(NOW).toISOString(),
      expires_at: new Date(NOW + HOUR_MS).toISOString(),
      request_id: null,
    });
    const again = await post(png, { 'content-type': 'application/octet-stream' });
    expect(again.status).toBe(200);
    expect(await again.json()).toEqual(image);
  });

  it('makes an image that its owner sees like any other, and nobody else', async () => {
    const { id } = await (await post(pngOf(1_100))).json<{ id: ImageId }>();
    const described = await get(`/v1/images/${id}`, { key: annasKey });
    expect(await described.json()).toMatchObject({
      id,
      request_id: null,
      seed: null,
      bytes: 1_100,
    });
    const content = await get(contentPath(id), { key: annasKey });
    expect(content.headers.get('content-type')).toBe('image/png');
    expect(await bytesOf(content)).toEqual(pngOf(1_100));
    expect((await get(`/v1/images/${id}`, { key: borisKey })).status).toBe(404);
    expect((await get(contentPath(id), { key: borisKey })).status).toBe(404);
    const link = await get(linkTo(id, NOW + HOUR_MS));
    expect(await bytesOf(link)).toHaveLength(1_100);
    const late = appWith({ now: NOW + HOUR_MS });
    expect((await get(contentPath(id), { key: annasKey, app: late })).status).toBe(404);
  });

  it.each([
    'image/png',
    'image/jpeg; q=1',
    'IMAGE/Anything',
    'image/svg+xml',
    'application/octet-stream;charset=x',
  ])('takes %s, and believes the bytes', async (type) => {
    const answer = await post(pngOf(700), { 'content-type': type });
    expect(await answer.json()).toMatchObject({ media_type: 'image/png', bytes: 700 });
  });

  it.each([
    'multipart/form-data; boundary=x',
    'application/x-www-form-urlencoded',
    'application/json',
    'text/html, image/png',
    'image/',
    'image/p ng',
    'image',
    'application/octet-streams',
    '',
  ])('refuses %j with 415, without reading', async (type) => {
    const { body, state } = bodyOf(png);
    const answer = await post(body, { 'content-type': type });
    expect([answer.status, await codeOf(answer)]).toEqual([415, 'unsupported_media_type']);
    expect(state.given).toBe(0);
  });

  it('refuses an encoded body with 415', async () => {
    const headers = { 'content-type': 'image/png', 'content-encoding': 'gzip' };
    expect((await post(png, headers)).status).toBe(415);
  });

  it('refuses more than 20 MB with 413: at once when it is announced, else when it has come', async () => {
    const { body, state } = bodyOf(png);
    const announced = await post(body, { 'content-length': '20971521' });
    expect([announced.status, await codeOf(announced)]).toEqual([413, 'payload_too_large']);
    expect(state.given).toBe(0);
    const long = bodyOf(pngOf(6_000_000));
    const come = await post(long.body);
    expect([come.status, await codeOf(come)]).toEqual([413, 'payload_too_large']);
    expect(long.state.given).toBeLessThan(5_000_000);
    expect(long.state.cancelled).toBe(true);
  });

  it.each([
    ['not an image', new TextEncoder().encode('<svg></svg>'), /an SVG document/],
    ['cut short', png.slice(0, -1), /cut short/],
    ['changed under its checksum', png.with(16, 1), /checksum of IHDR/],
    ['too large in pixels', gifOf(20_000, 2), /20000×2 pixels; each side must be from 1 to 16384/],
    ['empty', new Uint8Array(), /empty/],
  ])('refuses what is %s with 422 and says why', async (_, bytes, detail) => {
    const answer = await post(bytes, { 'content-type': 'image/png' });
    expect(answer.status).toBe(422);
    const problem = await answer.json<{ code: string; detail: string }>();
    expect(problem).toEqual(
      expect.objectContaining({ code: 'invalid_request', detail: expect.stringMatching(detail) }),
    );
  });

  it('refuses a body that breaks off, and one that is missing', async () => {
    const broken = bodyOf(png, { chunk: 100, breaksAt: 500 });
    const answer = await post(broken.body, { 'content-length': '1000' });
    expect([answer.status, await codeOf(answer)]).toEqual([422, 'invalid_request']);
    expect((await post(null)).status).toBe(422);
  });

  it('reads nothing before it knows that the key is active and may write', async () => {
    const { body, state } = bodyOf(png);
    const reader = appWith({ scopes: ['requests:read'] });
    expect((await post(body, {}, { app: reader })).status).toBe(403);
    expect((await post(body, {}, { key: 'fm_forged' })).status).toBe(401);
    expect(state.given).toBe(0);
  });

  it('while R2 fails: 503 with Retry-After', async () => {
    const down = () => Promise.reject(new Error('down'));
    const scopes: Scope[] = ['requests:write'];
    const broken = appWith({ bucket: bucketWith({ put: down }), scopes });
    const answer = await post(png, {}, { app: broken });
    expect([answer.status, await codeOf(answer)]).toEqual([503, 'unavailable']);
    expect(answer.headers.get('retry-after')).toBe('5');
  });
});

it('the contract is in the OpenAPI document', () => {
  const document = app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: { title: 't', version: '1' },
  });
  expect(Object.keys(document.paths ?? {})).toEqual([
    '/v1/images/{id}/content',
    '/v1/images/{id}',
    '/v1/images',
  ]);
});
