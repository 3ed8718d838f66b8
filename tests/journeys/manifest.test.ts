import { exports } from 'cloudflare:workers';
import { createHash } from 'node:crypto';
import { compactVerify, createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import type { ImageView } from '../../src/images/types';
import { newId } from '../../src/platform/ids';
import type { RequestView } from '../../src/requests/view';
import { ACROSS_A_MINUTE, newAddress, spend } from '../support/shield';
import { faults } from '../support/worker';
import {
  advance,
  type Client,
  confirmed,
  http,
  image,
  indexed,
  newClient,
  ORIGIN,
  openai,
  useWorld,
} from './support';

useWorld();

const DAY = 86_400_000;
const KEYS = '/.well-known/manifest-keys.json';

interface Signed {
  readonly manifest: { image: { id: string; sha256: string } } & Record<string, unknown>;
  readonly jws: string;
}

const published = async () =>
  createLocalJWKSet(await (await http('GET', KEYS)).json<JSONWebKeySet>());

async function made(client: Client, fields: object = {}) {
  const { id } = await client.submit(fields);
  const request = await client.reached(id, 'succeeded');
  const [image] = request.images as unknown as ImageView[];
  if (!image) throw new Error('there is no image');
  return { request: request as RequestView, image, path: `/v1/images/${image.id}/manifest` };
}

async function read(client: Client, path: string): Promise<Signed> {
  const response = await client.call('GET', path);
  expect(response.status).toBe(200);
  return response.json<Signed>();
}

async function bytesOf(client: Client, { url }: ImageView): Promise<Buffer> {
  const response = await client.call('GET', url);
  expect(response.status).toBe(200);
  return Buffer.from(await response.arrayBuffer());
}

const linkOf = ({ image, path }: { image: ImageView; path: string }) =>
  path + new URL(image.signed_url).search;

async function expectProblem(response: Response, status: number, code: string): Promise<void> {
  const problem = await response.json<{ code: string }>();
  expect([response.status, problem.code]).toEqual([status, code]);
}

describe('the manifest of an image', () => {
  it('is verified by any JOSE library with the published keys, and tells of these very bytes', async () => {
    const client = await newClient();
    const prompt = 'a lighthouse nobody knows';
    const { image, path } = await made(client, { prompt, seed: 7 });
    expect(new URL(image.manifest_url ?? '').pathname).toBe(path);
    const { manifest, jws } = await read(client, path);
    const { payload, protectedHeader } = await compactVerify(jws, await published());
    expect(JSON.parse(new TextDecoder().decode(payload))).toEqual(manifest);
    expect(protectedHeader).toMatchObject({ alg: 'EdDSA', typ: 'foreman-manifest+jws' });
    expect((await jwtVerify(jws, await published())).payload).toEqual(manifest);
    const bytes = await bytesOf(client, image);
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(manifest.image.sha256);
    expect(manifest).toMatchObject({
      image: { id: image.id },
      model: 'sketch',
      provider: 'sketch',
      attempt: 1,
      prompt_sha256: createHash('sha256').update(prompt).digest('hex'),
    });
    expect(JSON.stringify(manifest) + Buffer.from(payload)).not.toContain('lighthouse');
  });

  it('is not verified with a character changed, or by keys of another purpose', async () => {
    const client = await newClient();
    const { path } = await made(client);
    const { jws, manifest } = await read(client, path);
    const [header = '', , signature = ''] = jws.split('.');
    const forged = Buffer.from(JSON.stringify({ ...manifest, model: 'other' })).toString(
      'base64url',
    );
    const keys = await published();
    await expect(compactVerify(`${header}.${forged}.${signature}`, keys)).rejects.toThrow();
    const file = `/.well-known/webhooks-keys/${client.userId}.json`;
    const others = createLocalJWKSet(await (await http('GET', file)).json<JSONWebKeySet>());
    await expect(compactVerify(jws, others)).rejects.toThrow();
  });

  it('names the target and the attempt that made it, whatever was tried before', async () => {
    const client = await newClient();
    const model = 'chaos-5xx-after-accept';
    const size = { width: 64, height: 64 };
    const { id } = await client.submit({ model, ...size, fallback_models: ['sketch'] });
    const request = await client.reached(id, 'succeeded');
    expect(request.attempts.map(({ outcome }) => outcome)).toEqual(['failed', 'succeeded']);
    const { manifest } = await read(client, `/v1/images/${request.images[0]?.id}/manifest`);
    expect(manifest).toMatchObject({
      request_id: id,
      model,
      attempt: 2,
      provider: 'sketch',
      provider_model: request.attempts[1]?.model,
    });
  });

  it('of a reused image is that of the request that made it', async () => {
    const client = await newClient();
    const equal = { seed: 3, reuse: 'exact' };
    const first = await made(client, equal);
    const body = { model: 'sketch', prompt: 'a boat', width: 64, height: 64, ...equal };
    const response = await client.call('POST', '/v1/requests', { body });
    const second = await response.json<RequestView>();
    expect(second.reused_from).toBe(first.request.id);
    const { manifest } = await read(client, `/v1/images/${second.images[0]?.id}/manifest`);
    expect(manifest.request_id).toBe(first.request.id);
  });

  it('is the same once the request has left its foreman, and needs D1 only then', async () => {
    const client = await newClient();
    const { request, image, path } = await made(client);
    await indexed(request.id, 'succeeded');
    await confirmed(client, request.id);
    faults.d1 = 'fail';
    const before = await read(client, path);
    faults.d1 = null;
    advance(DAY + 60_000);
    await client.alarm();
    expect(await read(client, path)).toEqual(before);
    expect(await client.sql((sql) => sql.exec('SELECT id FROM requests').toArray())).toEqual([]);
    faults.d1 = 'fail';
    await expectProblem(await http('GET', linkOf({ image, path })), 503, 'unavailable');
  });
});

describe('the manifest by a signed link', () => {
  it('is read by anybody for as long as the image, and by nobody with another link', async () => {
    const client = await newClient();
    const [one, two] = [await made(client), await made(client)];
    const response = await http('GET', linkOf(one));
    expect([response.status, response.headers.get('cache-control')]).toEqual([
      200,
      'public, max-age=60',
    ]);
    expect((await response.json<Signed>()).manifest.image.id).toBe(one.image.id);
    const { search } = new URL(two.image.signed_url);
    await expectProblem(await http('GET', one.path + search), 404, 'not_found');
    await expectProblem(await http('GET', `${one.path}?expires=1`), 404, 'not_found');
    await expectProblem(await http('GET', one.path), 401, 'unauthorized');
    advance(400 * DAY);
    await expectProblem(await http('GET', linkOf(one)), 410, 'gone');
  });

  it('says nothing of what the image cost its owner, who reads it by key', async () => {
    openai(image);
    const client = await newClient();
    const it = await made(client, { model: 'gpt-image-1' });
    const whole = (await read(client, it.path)).manifest;
    const { cost_usd, provider_request_id, ...told } = whole;
    const [attempt] = it.request.attempts;
    expect([cost_usd, provider_request_id]).toEqual([
      attempt?.cost_usd,
      attempt?.provider_request_id,
    ]);
    const { manifest, jws } = await (await http('GET', linkOf(it))).json<Signed>();
    expect(manifest).toEqual(told);
    expect((await jwtVerify(jws, await published())).payload).toEqual(told);
  });

  it('counts for its address as the image does', ACROSS_A_MINUTE, async () => {
    const it = await made(await newClient());
    const address = newAddress();
    await spend('link', address);
    const headers = { 'cf-connecting-ip': address };
    const turnedAway = await http('GET', linkOf(it), { headers });
    await expectProblem(turnedAway, 429, 'too_many_from_address');
  });
});

describe('there is no manifest', () => {
  it('of an upload, and the answer says why', async () => {
    const client = await newClient();
    const { image: input } = await made(client);
    const bytes = await bytesOf(client, input);
    const brought = await exports.default.fetch(new URL('/v1/images', ORIGIN), {
      method: 'POST',
      headers: { authorization: `Bearer ${client.key}`, 'content-type': 'image/png' },
      body: bytes,
    });
    const upload = await brought.json<ImageView>();
    expect([brought.status, upload.manifest_url]).toEqual([201, null]);
    const answer = await client.call('GET', `/v1/images/${upload.id}/manifest`);
    expect(await answer.clone().text()).toContain('brought by its user');
    await expectProblem(answer, 404, 'not_found');
  });

  it('of an image whose request was deleted, by key or by link', async () => {
    const client = await newClient();
    const it = await made(client);
    expect((await client.call('DELETE', `/v1/requests/${it.request.id}`)).status).toBe(204);
    await expectProblem(await client.call('GET', it.path), 404, 'not_found');
    await expectProblem(await http('GET', linkOf(it)), 404, 'not_found');
  });
});

describe('published keys', () => {
  const pathFor = (id: string) => `/.well-known/webhooks-keys/${id}.json`;

  it.each([
    ['manifests', () => KEYS],
    ['webhooks', () => pathFor(newId('usr', Date.now()))],
  ])('of %s are anybody’s, for any page and any cache, and wake nobody', async (_, path) => {
    Object.assign(faults, { d1: 'fail', r2: 'fail', foreman: 'fail', directory: 'fail' });
    const response = await http('GET', path(), { headers: { origin: 'https://page.example' } });
    const { status, headers } = response;
    expect([
      status,
      headers.get('access-control-allow-origin'),
      headers.get('cache-control'),
      headers.get('content-type'),
    ]).toEqual([200, '*', 'public, max-age=3600', 'application/json']);
    const { keys } = await response.json<{ keys: Record<string, string>[] }>();
    expect(keys).toHaveLength(1);
    expect(keys[0]).toMatchObject({ kty: 'OKP', crv: 'Ed25519', alg: 'EdDSA', use: 'sig' });
    expect(keys[0]).not.toHaveProperty('d');
  });

  it('of webhooks are the user’s own, and spelled as Standard Webhooks has it', async () => {
    const [one, two] = [newId('usr', 0), newId('usr', 0)];
    const keyOf = async (id: string) => {
      const { keys } = await (await http('GET', pathFor(id))).json<{
        keys: { x: string; kid: string; whpk: string }[];
      }>();
      return keys[0];
    };
    const key = await keyOf(one);
    expect(await keyOf(one)).toEqual(key);
    expect((await keyOf(two))?.kid).not.toBe(key?.kid);
    expect(Buffer.from(key?.whpk.replace(/^whpk_/, '') ?? '', 'base64').toString('base64url')).toBe(
      key?.x,
    );
  });

  it.each(['nothing', 'usr_', newId('req', 0), `${newId('usr', 0)}x`, '..%2Fmanifest-keys'])(
    'are not there for %s',
    async (id) => {
      await expectProblem(await http('GET', pathFor(id)), 404, 'not_found');
    },
  );

  it('are not there without .json', async () => {
    const path = pathFor(newId('usr', 0)).replace('.json', '');
    await expectProblem(await http('GET', path), 404, 'not_found');
  });

  it('count for the address that fetches them', ACROSS_A_MINUTE, async () => {
    const address = newAddress();
    await spend('keys', address);
    for (const path of [KEYS, pathFor(newId('usr', 0))]) {
      const turnedAway = await http('GET', path, { headers: { 'cf-connecting-ip': address } });
      await expectProblem(turnedAway, 429, 'too_many_from_address');
    }
  });
});
