import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import { bucketFor, bucketForKey, bucketsOf } from '../../src/images/buckets';
import { objectKeyOf, ownerOf, partKeyOf, uploadPartKeyOf } from '../../src/images/keys';
import { newId } from '../../src/platform/ids';
import { NOW } from './support';

const { IMAGES, IMAGES_EU } = env;
const buckets = { IMAGES, IMAGES_EU };

it.each([
  ['0', IMAGES],
  ['e', IMAGES_EU],
] as const)('what belongs to an id of cell %s has one bucket, by id and by key', (cell, bucket) => {
  const [requestId, userId] = [newId('req', NOW, cell), newId('usr', NOW, cell)];
  const made = { requestId, attempt: 1, index: 0 };
  const brought = { userId, sha256: 'ab'.repeat(32) };
  expect(bucketFor(buckets, requestId)).toBe(bucket);
  expect(bucketFor(buckets, userId)).toBe(bucket);
  for (const key of [objectKeyOf(made), partKeyOf(made)]) {
    expect(ownerOf(key)).toBe(requestId);
    expect(bucketForKey(buckets, key)).toBe(bucket);
  }
  for (const key of [objectKeyOf(brought), uploadPartKeyOf(userId, crypto.randomUUID())]) {
    expect(ownerOf(key)).toBe(userId);
    expect(bucketForKey(buckets, key)).toBe(bucket);
  }
});

it.each(['', 'sweeps/uploads', 'images/', 'images/req_e/1/0', `x${newId('req', NOW, 'e')}`])(
  'a key that names nobody lies where most do: %j',
  (key) => expect(bucketForKey(buckets, key)).toBe(IMAGES),
);

it('no bucket is left out, and none is there twice', () => {
  expect(bucketsOf(buckets)).toEqual([IMAGES, IMAGES_EU]);
});
