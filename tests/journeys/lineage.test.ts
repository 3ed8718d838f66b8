import { describe, expect, it } from 'vitest';
import { newId } from '../../src/platform/ids';
import type { RequestView } from '../../src/requests/view';
import {
  advance,
  type Client,
  confirmed,
  http,
  image,
  newClient,
  newKey,
  openai,
  until,
  useWorld,
} from './support';

useWorld();

const original = {
  model: 'gpt-image-1',
  prompt: 'a boat',
  negative_prompt: 'rain',
  n: 2,
  seed: 7,
  aspect_ratio: '3:2',
  output_format: 'jpeg',
  provider_options: { openai: { quality: 'low' } },
  fallback_models: ['sketch'],
  fallback_on_refusal: true,
  previews: 1,
};

const ask = (client: Client, body: object) => client.call('POST', '/v1/requests', { body });

/** A variation, of which nothing more is said than `fields`. */
async function vary(client: Client, of: string, fields: object = {}): Promise<RequestView> {
  const response = await ask(client, { variations_of: of, ...fields });
  expect(response.status).toBe(202);
  return response.json<RequestView>();
}

describe('a parent', () => {
  it('is shown by its child, and leaves it alone otherwise', async () => {
    const client = await newClient();
    const parent = await client.submit({ metadata: { of: 'parent' } });
    const child = await client.submit({ parent_id: parent.id, prompt: 'a ship' });
    expect(child).toMatchObject({ parent_id: parent.id, variations_of: null, retry_of: null });
    expect(child.input.prompt).toBe('a ship');
    expect(child.metadata).toEqual({});
    expect(parent).toMatchObject({ parent_id: null, variations_of: null });
    const ended = await client.reached(child.id);
    expect(ended.parent_id).toBe(parent.id);
  });
});

describe.each(['parent_id', 'variations_of'])('%s', (field) => {
  it('of a request that has left for D1 is found', async () => {
    const client = await newClient();
    const { id } = await client.submit();
    await client.reached(id, 'succeeded');
    await confirmed(client, id);
    advance(25 * 3_600_000);
    await client.alarm();
    await until(async () => {
      const rows = await client.sql((sql) =>
        sql.exec('SELECT id FROM requests WHERE id = ?', id).toArray(),
      );
      expect(rows).toEqual([]);
    });
    const response = await ask(client, { model: 'sketch', prompt: 'a boat', [field]: id });
    expect(response.status).toBe(202);
    expect(await response.json()).toMatchObject({ [field]: id });
  });

  it('of one that is unknown, foreign, deleted or no request is refused by name', async () => {
    const [client, other] = [await newClient(), await newClient()];
    const foreign = (await other.submit()).id;
    const deleted = (await client.submit()).id;
    expect((await client.call('DELETE', `/v1/requests/${deleted}`)).status).toBe(204);
    const ids = [newId('req', Date.now()), foreign, deleted, 'req_', 'nothing', other.userId];
    for (const id of ids) {
      const response = await ask(client, { model: 'sketch', prompt: 'a boat', [field]: id });
      expect([id, response.status]).toEqual([id, 422]);
      expect(await response.json()).toMatchObject({
        code: 'invalid_request',
        errors: [{ path: field, message: 'there is no such request' }],
      });
    }
    expect((await client.list()).filter((request) => request[field as 'parent_id'])).toEqual([]);
  });

  it('wants a key that may read', async () => {
    const client = await newClient();
    const { id } = await client.submit();
    const { key } = await newKey(client.userId, ['requests:write']);
    const response = await http('POST', '/v1/requests', {
      body: { model: 'sketch', prompt: 'a boat', [field]: id },
      headers: { authorization: `Bearer ${key}` },
    });
    expect(response.status).toBe(403);
    expect(await response.text()).toContain('requests:read');
  });
});

describe('a variation', () => {
  it('takes over all of the input but the seed and the previews, and nothing of the request itself', async () => {
    openai(image);
    const client = await newClient();
    const of = { metadata: { of: 'original' }, priority: 'high', max_cost_usd: 1 };
    const first = await client.submit({ ...original, ...of });
    const { seed: _, previews: __, model, ...input } = original;
    const variation = await vary(client, first.id);
    expect(variation).toMatchObject({
      model,
      variations_of: first.id,
      parent_id: null,
      metadata: {},
      priority: 'normal',
    });
    expect(variation.input).toEqual(input);
  });

  it.each<[string, object, object]>([
    ['its own prompt', { prompt: 'a ship' }, { prompt: 'a ship', n: 2 }],
    ['its own seed', { seed: 9 }, { prompt: 'a boat', seed: 9 }],
    ['its own number', { n: 1 }, { n: 1 }],
    ['its own options, as a whole', { provider_options: {} }, { provider_options: {} }],
    ['no fallbacks', { fallback_models: [] }, { fallback_models: [] }],
  ])('has %s', async (_, fields, expected) => {
    openai(image);
    const client = await newClient();
    const first = await client.submit(original);
    expect((await vary(client, first.id, fields)).input).toMatchObject(expected);
  });

  it('has its own model', async () => {
    openai(image);
    const client = await newClient();
    const first = await client.submit(original);
    const fields = { model: 'gpt-image-1-mini', fallback_models: [] };
    expect((await vary(client, first.id, fields)).model).toBe('gpt-image-1-mini');
  });

  it('has a size given in one way in the place of one given in the other', async () => {
    openai(image);
    const client = await newClient();
    const first = await client.submit(original);
    const second = await vary(client, first.id, { width: 1024, height: 1024 });
    expect(second.input).toMatchObject({ width: 1024, height: 1024 });
    expect(second.input).not.toHaveProperty('aspect_ratio');
    const third = await vary(client, second.id, { aspect_ratio: '1:1' });
    expect(third.input).toMatchObject({ aspect_ratio: '1:1' });
    expect(third.input).not.toHaveProperty('width');
    expect(third.input).not.toHaveProperty('height');
  });

  it('may be of a variation, and names the one that it is of', async () => {
    openai(image);
    const client = await newClient();
    const first = await client.submit(original);
    const second = await vary(client, first.id, { prompt: 'a ship' });
    const third = await vary(client, second.id, { n: 1 });
    expect(third).toMatchObject({ variations_of: second.id, input: { prompt: 'a ship', n: 1 } });
  });

  it('may be of a request that brought nothing', async () => {
    const client = await newClient({ max_running: 0 });
    const first = await client.submit();
    await client.call('POST', `/v1/requests/${first.id}/cancel`);
    expect((await vary(client, first.id)).input).toEqual(first.input);
  });

  it('takes over an input image with its strength', async () => {
    openai(image);
    const client = await newClient();
    const made = await client.reached((await client.submit()).id, 'succeeded');
    const picture = made.images[0]?.id;
    const fields = { model: 'gpt-image-1', image: picture, strength: 0.5 };
    const first = await client.submit(fields);
    expect((await vary(client, first.id)).input).toMatchObject({ image: picture, strength: 0.5 });
  });

  it('whose input image is gone is refused for the original, and may have another', async () => {
    openai(image);
    const client = await newClient();
    const [one, two] = [await client.submit(), await client.submit()];
    const gone = (await client.reached(one.id, 'succeeded')).images[0]?.id;
    const other = (await client.reached(two.id, 'succeeded')).images[0]?.id;
    const first = await client.submit({ model: 'gpt-image-1', image: gone });
    await client.reached(first.id);
    expect((await client.call('DELETE', `/v1/requests/${one.id}`)).status).toBe(204);
    for (const dry_run of [true, false]) {
      const response = await ask(client, { variations_of: first.id, dry_run });
      expect(response.status).toBe(422);
      expect(await response.json()).toMatchObject({
        code: 'invalid_request',
        errors: [{ path: 'variations_of', message: 'its image: there is no such image' }],
      });
    }
    expect((await vary(client, first.id, { image: other })).input).toMatchObject({ image: other });
    const own = await ask(client, { variations_of: first.id, image: gone });
    expect(await own.json()).toMatchObject({ errors: [{ path: 'image' }] });
  });

  it('half a size over a whole one is refused for what the client left out', async () => {
    const client = await newClient();
    const first = await client.submit();
    const response = await ask(client, { variations_of: first.id, width: 128 });
    expect(await response.json()).toMatchObject({ errors: [{ path: 'height' }] });
  });

  it('that no target can serve is refused like any other', async () => {
    openai(image);
    const client = await newClient();
    const first = await client.submit(original);
    const body = { variations_of: first.id, model: 'dall-e-3', fallback_models: [] };
    const response = await ask(client, body);
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({ code: 'no_target_available' });
  });

  it('is replayed under its idempotency key even when the original is gone', async () => {
    const client = await newClient();
    const first = await client.submit();
    const headers = { 'idempotency-key': 'key' };
    const body = { variations_of: first.id };
    const one = await client.call('POST', '/v1/requests', { body, headers });
    const { id } = await one.json<RequestView>();
    await client.call('DELETE', `/v1/requests/${first.id}`);
    const again = await client.call('POST', '/v1/requests', { body, headers });
    expect([again.status, (await again.json<RequestView>()).id]).toEqual([200, id]);
  });
});

describe('a retry', () => {
  it('names what it tries again, and keeps the lineage and the seed of that', async () => {
    openai(image);
    const client = await newClient();
    const root = await client.submit();
    const first = await client.submit({ ...original, parent_id: root.id, variations_of: root.id });
    await client.reached(first.id);
    const response = await client.call('POST', `/v1/requests/${first.id}/retry`);
    expect(response.status).toBe(202);
    expect(await response.json()).toMatchObject({
      retry_of: first.id,
      parent_id: root.id,
      variations_of: root.id,
      input: { prompt: 'a boat', seed: 7 },
    });
  });
});

describe('lineage', () => {
  it('is in lists, as D1 has it', async () => {
    const client = await newClient();
    const root = await client.submit();
    const { id } = await client.submit({ parent_id: root.id, variations_of: root.id });
    await client.reached(id);
    await until(async () => {
      const listed = (await client.list()).find((request) => request.id === id);
      expect(listed).toMatchObject({ parent_id: root.id, variations_of: root.id });
    });
  });
});
