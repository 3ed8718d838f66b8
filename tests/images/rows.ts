// Rows of images as D1 holds them, with or without a request beside them.
import { env } from 'cloudflare:workers';
import { imageIdOf, objectKeyOf } from '../../src/images/keys';
import type { StoredImage } from '../../src/images/types';
import { newId, type RequestId, type UserId } from '../../src/platform/ids';
import { anna, maker, NOW } from './support';

export async function clearRows(): Promise<void> {
  const tables = ['images', 'requests'];
  await env.DB.batch(tables.map((table) => env.DB.prepare(`DELETE FROM ${table}`)));
}

export async function clearBuckets(): Promise<void> {
  for (const bucket of [env.IMAGES, env.IMAGES_EU]) {
    const { objects } = await bucket.list();
    await bucket.delete(objects.map((object) => object.key));
  }
}

/** A request as the projector has written it. */
export async function indexRequest(of: {
  readonly id: RequestId;
  readonly userId?: UserId;
  readonly status?: string;
  readonly images?: readonly StoredImage[];
}): Promise<void> {
  const { id, userId = anna, status = 'succeeded', images = [] } = of;
  const state = status === 'succeeded' ? { output: { images } } : {};
  await env.DB.prepare(
    `INSERT INTO requests (id, user_id, kind, status, model, created_at, updated_at, deadline_at,
       cost_micros, version, metadata, state)
     VALUES (?, ?, 'generation', ?, 'sketch', 0, 0, 0, 0, 1, '{}', ?)
     ON CONFLICT (id) DO UPDATE SET status = excluded.status, state = excluded.state`,
  )
    .bind(id, userId, status, JSON.stringify(state))
    .run();
}

/** By SQL of their own: there need be no request, and no object. */
export async function putRows(images: readonly StoredImage[], userId = anna): Promise<void> {
  const rows = images.map((image) => {
    const requestId = `req_${image.id.slice(4, 31)}` as RequestId;
    const [attempt, index] = image.id.slice(32).split('_').map(Number);
    const key = objectKeyOf({ requestId, attempt: attempt ?? 1, index: index ?? 0 });
    return { id: image.id, requestId, key, expiresAt: image.expiresAt };
  });
  for (let from = 0; from < rows.length; from += 5_000) {
    await env.DB.prepare(
      `INSERT INTO images (id, user_id, request_id, object_key, width, height, media_type, bytes,
         sha256, seed, created_at, expires_at)
       SELECT value ->> 'id', ?, value ->> 'requestId', value ->> 'key', 64, 48, 'image/png', 100,
         'ab', 7, 0, value ->> 'expiresAt' FROM json_each(?)`,
    )
      .bind(userId, JSON.stringify(rows.slice(from, from + 5_000)))
      .run();
  }
}

/** As a request's output names it; nothing of it is stored. */
export function imageOf(requestId = newId('req', NOW), expiresAt = NOW): StoredImage {
  const id = imageIdOf({ requestId, attempt: 1, index: 0 });
  const measures = { width: 64, height: 48, mediaType: 'image/png', bytes: 100, sha256: 'ab' };
  return { id, ...measures, ...maker, seed: 7, createdAt: NOW, expiresAt };
}

export async function rowIds(): Promise<string[]> {
  const { results } = await env.DB.prepare('SELECT id FROM images ORDER BY id').all<{
    id: string;
  }>();
  return results.map(({ id }) => id);
}
