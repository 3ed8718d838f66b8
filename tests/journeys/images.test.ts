import { env, exports } from 'cloudflare:workers';
import { describe, expect, it, vi } from 'vitest';
import type { ImageView } from '../../src/images/types';
import type { RequestView } from '../../src/requests/view';
import { deletedKeys, faulted, faults } from '../support/worker';
import {
  ADMIN,
  advance,
  type Client,
  confirmed,
  count,
  deliver,
  http,
  image,
  indexRow,
  newClient,
  ORIGIN,
  objectKeys,
  openai,
  receiver,
  until,
  useWorld,
} from './support';

useWorld();

const pathOf = ({ id }: { readonly id: string }) => `/v1/images/${id}`;

/** Two small sketches, known to D1. */
async function made(client: Client, fields: object = {}) {
  const { id } = await client.submit({ n: 2, ...fields });
  const request = await client.reached(id, 'succeeded');
  await confirmed(client, id);
  const [first, second] = request.images;
  if (!first || !second) throw new Error('expected two images');
  return { request, first, second };
}

const remove = async (client: Client, one: { readonly id: string }) =>
  (await client.call('DELETE', pathOf(one))).status;

interface Page {
  readonly items: ImageView[];
  readonly next_cursor: string | null;
}
const list = async (client: Client, query = '') =>
  (await client.call('GET', `/v1/images?limit=100${query}`)).json<Page>();
const idsOf = (images: readonly { readonly id: string }[]) => images.map(({ id }) => id);

const deletionsOnRecord = async ({ userId }: Client) => {
  const path = `/v1/admin/audit?user_id=${userId}&action=image.deleted`;
  return (await (await http('GET', path, { headers: ADMIN })).json<{ items: unknown[] }>()).items;
};

const inForeman = (client: Client, id: string) =>
  client.sql((sql) => sql.exec('SELECT id FROM requests WHERE id = ?', id).toArray().length);

/** It leaves the foreman: its hot time is over. */
async function handOver(client: Client, id: string): Promise<void> {
  await confirmed(client, id);
  advance(24 * 3_600_000 + 1);
  await client.alarm();
  await until(async () => expect(await inForeman(client, id)).toBe(0));
}

/** Nobody finds anything of it, nor anything that was made from it. */
async function expectGone(client: Client, request: RequestView, gone: ImageView): Promise<void> {
  const { id } = gone;
  for (const path of ['', '/content', '/manifest'].map((end) => pathOf(gone) + end)) {
    expect([path, (await client.call('GET', path)).status]).toEqual([path, 404]);
  }
  expect((await client.call('POST', `${pathOf(gone)}/links`)).status).toBe(404);
  expect((await http('GET', gone.signed_url)).status).toBe(404);
  expect(idsOf((await client.get(request.id)).images)).not.toContain(id);
  expect(idsOf((await list(client)).items)).not.toContain(id);
  expect(await remove(client, gone)).toBe(404);
}

describe('what made an image', () => {
  it('is told wherever the image is shown, and in its webhook', async () => {
    openai(image);
    const hook = receiver();
    const client = await newClient();
    const { id } = await client.submit({ model: 'gpt-image-1', webhook_url: hook.url });
    const request = await client.reached(id, 'succeeded');
    const maker = { model: 'gpt-image-1', provider: 'openai', provider_model: 'gpt-image-1' };
    const [shown] = request.images;
    expect(shown).toMatchObject({ ...maker, request_id: id });
    expect(await (await client.call('GET', pathOf(shown ?? { id: '' }))).json()).toEqual(shown);
    await confirmed(client, id);
    expect((await list(client)).items).toEqual([shown]);
    await until(() => expect(hook.posts).toHaveLength(1));
    expect(hook.posts[0]?.json()).toMatchObject({ data: { images: [shown] } });
  });

  it('names the model as it was asked for, and the provider that made it', async () => {
    const client = await newClient();
    const { id } = await client.submit({ model: 'auto', width: 64, height: 64 });
    const { images, attempts } = await client.reached(id, 'succeeded');
    const { provider, model } = attempts.at(-1) ?? {};
    expect(images).toMatchObject([{ model: 'auto', provider, provider_model: model }]);
  });
});

describe('a deleted image', () => {
  it('is gone from reads, lists, R2 and D1, while its request and the other image stay', async () => {
    const client = await newClient();
    const { request, first, second } = await made(client);
    const place = `images/${request.id}/1/0`;
    await env.IMAGES.put(`${place}@w64.webp`, 'smaller');
    await env.IMAGES.put(`${place}.part`, 'on its way');
    expect((await http('GET', first.signed_url)).status).toBe(200);
    expect(await remove(client, first)).toBe(204);

    await expectGone(client, request, first);
    expect(await objectKeys(request.id)).toEqual([`images/${request.id}/1/1`]);
    const now = await client.get(request.id);
    expect(now).toEqual({ ...request, images: [second], version: request.version + 1 });
    expect((await http('GET', second.signed_url)).status).toBe(200);
    await confirmed(client, request.id);
    expect((await indexRow(request.id))?.version).toBe(now.version);
    expect(await count('images', 'request_id = ?', request.id)).toBe(1);
    expect(await deletionsOnRecord(client)).toMatchObject([{ target: first.id }]);
  });

  it('may be the last: the request stays succeeded, and nothing is told or uncounted', async () => {
    const hook = receiver();
    const client = await newClient();
    const { request, first, second } = await made(client, { webhook_url: hook.url });
    await until(() => expect(hook.posts).toHaveLength(1));
    expect([await remove(client, first), await remove(client, second)]).toEqual([204, 204]);
    expect(await client.get(request.id)).toMatchObject({ status: 'succeeded', images: [] });
    await confirmed(client, request.id);
    expect(await count('images', 'request_id = ?', request.id)).toBe(0);
    expect(await client.deliveries(request.id)).toHaveLength(1);
    const usage = await client.call('GET', '/v1/me/usage?group_by=provider');
    expect(await usage.json()).toMatchObject({ items: [{ images: 2 }] });
    const events = await (await client.call('GET', `/v1/requests/${request.id}/events`)).text();
    expect(events.match(/^event: .*$/gm)?.at(-1)).toBe('event: request.succeeded');
    const stale = { headers: { 'if-none-match': `"${request.version}"` } };
    expect((await client.call('GET', `/v1/requests/${request.id}`, stale)).status).toBe(200);
  });

  it('is not shared with equal requests any more: the next one makes its own', async () => {
    const client = await newClient();
    const equal = { seed: 7, reuse: 'exact' };
    const { request, first } = await made(client, equal);
    const again = async () => {
      const body = { model: 'sketch', prompt: 'a boat', width: 64, height: 64, n: 2, ...equal };
      const answer = await client.call('POST', '/v1/requests', { body });
      const { id } = await answer.json<RequestView>();
      return client.reached(id, 'succeeded');
    };
    expect((await again()).reused_from).toBe(request.id);
    expect(await remove(client, first)).toBe(204);
    expect((await again()).reused_from).toBeNull();
    expect(idsOf((await list(client)).items)).not.toContain(first.id);
  });

  it('of a request that has left for D1 goes as well, and the request leaves again', async () => {
    const client = await newClient();
    const { request, first, second } = await made(client);
    await handOver(client, request.id);
    expect(await remove(client, first)).toBe(204);
    await expectGone(client, request, first);
    await confirmed(client, request.id);
    expect((await indexRow(request.id))?.version).toBe(request.version + 1);
    // It stays for its hot time, lest the next one follow an older version.
    expect(await remove(client, second)).toBe(204);
    await handOver(client, request.id);
    expect(await client.get(request.id)).toEqual({
      ...request,
      images: [],
      version: request.version + 2,
    });
    await expectGone(client, request, second);
    expect(await client.list()).toMatchObject([{ id: request.id, images: [] }]);
  });

  it('does not come back with news of before', async () => {
    const client = await newClient();
    const { request, first } = await made(client);
    const state = (await indexRow(request.id))?.state ?? '';
    expect(await remove(client, first)).toBe(204);
    await confirmed(client, request.id);
    await client.sql((sql) =>
      sql.exec(
        'UPDATE requests SET projected_version = NULL, state = ? WHERE id = ?',
        state,
        request.id,
      ),
    );
    await deliver('events', [{ type: 'projection.wake', v: 1, user: client.userId }]);
    expect(await count('images', 'id = ?', first.id)).toBe(0);
    expect((await indexRow(request.id))?.version).toBe(request.version + 1);
  });

  it('is deleted while D1 is down, and D1 hears of it later', async () => {
    const client = await newClient();
    const { request, first } = await made(client);
    faults.d1 = 'fail';
    expect(await remove(client, first)).toBe(204);
    expect((await client.call('GET', pathOf(first))).status).toBe(404);
    const unlisted = await client.call('GET', '/v1/images');
    expect([unlisted.status, unlisted.headers.get('retry-after')]).toEqual([503, '5']);
    faults.d1 = null;
    advance(300_001);
    await client.alarm();
    await until(async () => expect(await count('images', 'id = ?', first.id)).toBe(0));
    expect((await indexRow(request.id))?.version).toBe(request.version + 1);
  });

  it('keeps nothing from going with the end of its user', async () => {
    const client = await newClient();
    const { request, first } = await made(client);
    const { sha256 } = await newUpload(client);
    await handOver(client, request.id);
    expect(await remove(client, first)).toBe(204);
    const uploads = `uploads/${client.userId}/`;
    await env.IMAGES.put(`images/${request.id}/1/1@w64.webp`, 'smaller');
    await env.IMAGES.put(`${uploads}${sha256}@w64.webp`, 'smaller');
    const path = `/v1/admin/users/${client.userId}`;
    expect((await http('DELETE', path, { headers: ADMIN })).status).toBe(202);
    await until(async () => {
      const deletion = await http('GET', `${path}/deletion`, { headers: ADMIN });
      expect(await deletion.json()).toMatchObject({ status: 'completed' });
    });
    expect(await objectKeys(request.id)).toEqual([]);
    expect((await env.IMAGES.list({ prefix: uploads })).objects).toEqual([]);
    for (const table of ['images', 'requests']) {
      expect(await count(table, 'user_id = ?', client.userId)).toBe(0);
    }
  });

  it('is an upload, too', async () => {
    const client = await newClient();
    const upload = await newUpload(client);
    await env.IMAGES.put(`uploads/${client.userId}/${upload.sha256}@w64.webp`, 'smaller');
    expect(await remove(client, upload)).toBe(204);
    for (const path of [pathOf(upload), `${pathOf(upload)}/content`]) {
      expect((await client.call('GET', path)).status).toBe(404);
    }
    expect((await env.IMAGES.list({ prefix: `uploads/${client.userId}/` })).objects).toEqual([]);
    expect(await remove(client, upload)).toBe(404);
    expect((await list(client, '&source=upload')).items).toEqual([]);
  });
});

const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

async function newUpload(client: Client): Promise<ImageView> {
  const response = await exports.default.fetch(`${ORIGIN}/v1/images`, {
    method: 'POST',
    headers: { authorization: `Bearer ${client.key}` },
    body: new Uint8Array(PNG),
  });
  expect(response.status).toBe(201);
  return response.json<ImageView>();
}

describe('deleting an image', () => {
  it('answers 503 while R2 fails, has changed nothing, and may be repeated', async () => {
    const client = await newClient();
    const { request, first } = await made(client);
    Object.assign(faults, { r2: 'fail', only: ['delete'], times: 1 });
    const answer = await client.call('DELETE', pathOf(first));
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5']);
    expect(await client.get(request.id)).toEqual(request);
    expect((await http('GET', first.signed_url)).status).toBe(200);
    expect(await remove(client, first)).toBe(204);
    await expectGone(client, request, first);
  });

  it('is done once, when the answer that it is done got lost', async () => {
    const client = await newClient();
    const { request, first } = await made(client);
    // What follows the deletion at R2 is the one call that changes the record.
    vi.spyOn(deletedKeys, 'push').mockImplementationOnce(() => {
      Object.assign(faults, { foreman: 'lose_answer', only: ['ask'], times: 1 });
      return 0;
    });
    expect(await remove(client, first)).toBe(204);
    expect(faulted.foreman).toBe(1);
    expect((await client.get(request.id)).version).toBe(request.version + 1);
    expect(await deletionsOnRecord(client)).toMatchObject([{ target: first.id }]);
    await expectGone(client, request, first);
  });

  it('is finished by the same call, when it died after the bytes had gone', async () => {
    const client = await newClient();
    const { request, first } = await made(client);
    await env.IMAGES.delete(`images/${request.id}/1/0`);
    expect(idsOf((await client.get(request.id)).images)).toContain(first.id);
    expect(await remove(client, first)).toBe(204);
    await expectGone(client, request, first);
  });

  it('answers 503 for a request that only D1 knows, while D1 is down', async () => {
    const client = await newClient();
    const { request, first } = await made(client);
    await handOver(client, request.id);
    faults.d1 = 'fail';
    expect(await remove(client, first)).toBe(503);
    faults.d1 = null;
    expect(await objectKeys(request.id)).toHaveLength(2);
    expect(await remove(client, first)).toBe(204);
  });

  it('answers 404 to anybody else, for images and uploads, hot and archived', async () => {
    const [owner, other] = await Promise.all([newClient(), newClient()]);
    const { request, first } = await made(owner);
    const upload = await newUpload(owner);
    expect([await remove(other, first), await remove(other, upload)]).toEqual([404, 404]);
    await handOver(owner, request.id);
    expect(await remove(other, first)).toBe(404);
    expect(await objectKeys(request.id)).toHaveLength(2);
    expect((await owner.call('GET', pathOf(upload))).status).toBe(200);
    expect(await inForeman(other, request.id)).toBe(0);
  });

  it('answers 404 for an image that no output has, though it may lie in R2', async () => {
    const client = await newClient();
    const { request } = await made(client);
    await env.IMAGES.put(`images/${request.id}/2/0`, 'of an attempt that lost');
    for (const tail of ['2_0', '1_5']) {
      const id = `img_${request.id.slice(4)}_${tail}`;
      expect(await remove(client, { id })).toBe(404);
    }
    expect(await objectKeys(request.id)).toHaveLength(3);
  });

  it('answers 404 for an image past its time, and deletes its request nonetheless', async () => {
    const client = await newClient();
    const { request, first } = await made(client);
    advance(31 * 24 * 3_600_000);
    expect(await remove(client, first)).toBe(404);
    expect((await list(client)).items).toEqual([]);
    expect((await client.call('DELETE', `/v1/requests/${request.id}`)).status).toBe(204);
  });
});

describe('a link', () => {
  const link = (client: Client, one: { readonly id: string }, body?: object) =>
    client.call('POST', `${pathOf(one)}/links`, body ? { body } : {});

  it('opens the image until it ends, which is before the image does', async () => {
    const client = await newClient();
    const { first } = await made(client);
    const answer = await link(client, first, { expires_in_seconds: 60 });
    expect(answer.status).toBe(201);
    const { url, expires_at: expiresAt } = await answer.json<Record<string, string>>();
    const left = Date.parse(expiresAt ?? '') - Date.now();
    expect([left > 50_000, left <= 60_000]).toEqual([true, true]);
    expect((await http('GET', url ?? '')).status).toBe(200);
    advance(60_001);
    expect((await http('GET', url ?? '')).status).toBe(410);
    expect((await http('GET', first.signed_url)).status).toBe(200);
  });

  it('lasts an hour unless said otherwise, or as long as the image', async () => {
    const client = await newClient();
    const { first } = await made(client);
    const endOf = async () =>
      Date.parse(
        (await (await link(client, first)).json<Record<string, string>>()).expires_at ?? '',
      );
    expect(Math.round((Date.now() + 3_600_000 - (await endOf())) / 60_000)).toBe(0);
    advance(Date.parse(first.expires_at) - Date.now() - 120_000);
    expect(await endOf()).toBe(Math.floor(Date.parse(first.expires_at) / 1000) * 1000);
  });

  it.each([
    { expires_in_seconds: 59 },
    { expires_in_seconds: 10 ** 9 },
    { expires_in_seconds: 'x' },
  ])('is refused for %j, which the answer names', async (body) => {
    const client = await newClient();
    const { first } = await made(client);
    const answer = await link(client, first, body);
    expect(answer.status).toBe(422);
    expect(await answer.json()).toMatchObject({ errors: [{ path: 'expires_in_seconds' }] });
  });

  it('ends when its image is deleted', async () => {
    const client = await newClient();
    const { first } = await made(client);
    const { url = '' } = await (await link(client, first)).json<Record<string, string>>();
    expect((await http('GET', url)).status).toBe(200);
    expect(await remove(client, first)).toBe(204);
    expect((await http('GET', url)).status).toBe(404);
  });
});
