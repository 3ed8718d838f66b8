import { Hono } from 'hono';
import { expect, it } from 'vitest';
import { AppError } from '../../src/platform/errors';
import { type HttpEnv, jsonBody } from '../../src/platform/http';

const app = new Hono<HttpEnv>()
  .post('/', jsonBody(), async (c) => c.json(await c.req.json()))
  .onError((error) => Response.json(error instanceof AppError ? error.code : String(error)));

async function post(encoding: string, body: BodyInit): Promise<unknown> {
  const headers = { 'content-type': 'application/json', 'content-encoding': encoding };
  return (await app.request('/', { method: 'POST', headers, body })).json();
}

it.each(['gzip', 'br', 'identity, gzip'])('a body in %s is refused as that', async (encoding) => {
  const packed = new Blob(['{}']).stream().pipeThrough(new CompressionStream('gzip'));
  const body = await new Response(packed).arrayBuffer();
  expect(await post(encoding, body)).toBe('unsupported_media_type');
});

it('a body that says that it comes as it is, is read', async () => {
  expect(await post('Identity', '{"prompt":"a boat"}')).toEqual({ prompt: 'a boat' });
});
