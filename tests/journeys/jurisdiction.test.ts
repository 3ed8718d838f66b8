import { env, exports } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import type { ImageView } from '../../src/images/types';
import { pngOf } from '../images/support';
import { faults } from '../support/worker';
import {
  advance,
  http,
  image,
  indexed,
  indexRow,
  newClient,
  newKey,
  ORIGIN,
  objectKeys,
  openai,
  receiver,
  runCrons,
  until,
  useWorld,
} from './support';

useWorld();

const MONTH_MS = 31 * 86_400_000;
const european = () => newClient({}, { jurisdiction: 'eu', region: 'weur' });
const keysIn = async (bucket: R2Bucket) =>
  (await bucket.list()).objects.map(({ key }) => key).sort();

it('whatever belongs to a user of the EU says so, and its images lie there only', async () => {
  const hook = receiver();
  const client = await european();
  const before = await keysIn(env.IMAGES);
  const { id } = await client.submit({ n: 2, webhook_url: hook.url });
  const { images } = await client.reached(id, 'succeeded');
  await until(() => expect(hook.posts).toHaveLength(1));
  const [delivery] = await client.deliveries(id);
  const { id: keyId } = await newKey(client.userId);
  const retried = await client.call('POST', `/v1/requests/${id}/retry`);
  expect(retried.status).toBe(202);
  const again = await retried.json<{ id: string }>();
  await client.reached(again.id, 'succeeded');
  const ids = [client.userId, keyId, id, again.id, delivery?.id, ...images.map(({ id }) => id)];
  for (const one of ids) expect(one).toMatch(/^[a-z]{3}_e/);

  expect(await objectKeys(id, env.IMAGES_EU)).toEqual([`images/${id}/1/0`, `images/${id}/1/1`]);
  expect(await objectKeys(again.id, env.IMAGES_EU)).toHaveLength(2);
  expect(await keysIn(env.IMAGES)).toEqual(before);
  await indexed(id, 'succeeded');
  expect((await client.list()).map((request) => request.id)).toEqual([again.id, id]);
});

it('they are served to their user and behind a link, and to nobody else', async () => {
  const [client, other] = [await european(), await european()];
  const { id } = await client.submit();
  const [made] = (await client.reached(id, 'succeeded')).images;
  if (!made) throw new Error('expected an image');
  const path = new URL(made.url).pathname;
  for (const response of [await http('GET', made.signed_url), await client.call('GET', path)]) {
    expect(response.status).toBe(200);
    expect((await response.bytes()).byteLength).toBe(made.bytes);
  }
  expect((await other.call('GET', path)).status).toBe(404);
  // The cell is part of what is signed: no link leads to the other bucket.
  const elsewhere = made.signed_url.replace('img_e', 'img_0');
  expect((await http('GET', elsewhere)).status).toBe(404);
});

it('an image that the user brings lies there as well, and serves as an input', async () => {
  const calls = openai(image);
  const client = await european();
  const response = await exports.default.fetch(new URL('/v1/images', ORIGIN), {
    method: 'POST',
    headers: { authorization: `Bearer ${client.key}`, 'content-type': 'image/png' },
    body: pngOf(1_000),
  });
  expect(response.status).toBe(201);
  const { id, sha256 } = await response.json<ImageView>();
  expect(id).toMatch(/^img_e/);
  const key = `uploads/${client.userId}/${sha256}`;
  expect(await env.IMAGES_EU.head(key)).not.toBeNull();
  expect(await env.IMAGES.head(key)).toBeNull();
  const request = await client.submit({ model: 'gpt-image-1', image: id });
  await client.reached(request.id, 'succeeded');
  expect(calls).toHaveLength(1);
  expect(await objectKeys(request.id, env.IMAGES_EU)).toHaveLength(1);
});

it('DELETE purges them, at once or when R2 is back', async () => {
  const client = await european();
  const { id } = await client.submit();
  const [made] = (await client.reached(id, 'succeeded')).images;
  Object.assign(faults, { r2: 'fail', only: ['delete'] });
  expect((await client.call('DELETE', `/v1/requests/${id}`)).status).toBe(204);
  expect(await objectKeys(id, env.IMAGES_EU)).toHaveLength(1);
  faults.r2 = null;
  advance(15_001);
  await client.alarm();
  await until(async () => expect(await objectKeys(id, env.IMAGES_EU)).toEqual([]));
  expect((await http('GET', made?.signed_url ?? '')).status).toBe(404);

  const second = await client.submit();
  await client.reached(second.id, 'succeeded');
  expect((await client.call('DELETE', `/v1/requests/${second.id}`)).status).toBe(204);
  expect(await objectKeys(second.id, env.IMAGES_EU)).toEqual([]);
});

it('the cron sweeps the images of both buckets once they are past their time', async () => {
  const [here, there] = [await newClient(), await european()];
  const made = await Promise.all(
    [here, there].map(async (client) => {
      const { id } = await client.submit();
      await client.reached(id, 'succeeded');
      await indexed(id, 'succeeded');
      return id;
    }),
  );
  const [inFirst = '', inSecond = ''] = made;
  expect(await objectKeys(inFirst)).toHaveLength(1);
  expect(await objectKeys(inSecond, env.IMAGES_EU)).toHaveLength(1);
  advance(MONTH_MS);
  await runCrons();
  expect(await objectKeys(inFirst)).toEqual([]);
  expect(await objectKeys(inSecond, env.IMAGES_EU)).toEqual([]);
  expect((await indexRow(inSecond))?.status).toBe('succeeded');
});
