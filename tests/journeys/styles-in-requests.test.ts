import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import type { RequestView } from '../../src/requests/view';
import {
  ADMIN,
  type Client,
  http,
  image,
  newClient,
  openai,
  serverError,
  useWorld,
} from './support';

useWorld();

interface Fields {
  readonly prompt_template?: string;
  readonly negative_prompt?: string;
  readonly defaults?: object;
}
const ink = { prompt_template: '{prompt}, in ink' };

let styles = 0;
async function newStyle(fields: Fields = {}): Promise<string> {
  styles += 1;
  const id = `style-${styles}`;
  const body = { id, ...ink, ...fields };
  expect((await http('POST', '/v1/admin/styles', { body, headers: ADMIN })).status).toBe(201);
  return id;
}
async function replace(id: string, fields: Fields): Promise<void> {
  const body = { ...ink, ...fields };
  const response = await http('PUT', `/v1/admin/styles/${id}`, { body, headers: ADMIN });
  expect(response.status).toBe(200);
}
const remove = (id: string) => http('DELETE', `/v1/admin/styles/${id}`, { headers: ADMIN });

const gpt = { model: 'gpt-image-1' };
const ask = (client: Client, fields: object) =>
  client.call('POST', '/v1/requests', { body: { ...gpt, prompt: 'a boat', ...fields } });

async function made(client: Client, fields: object): Promise<RequestView> {
  const { id } = await client.submit({ ...gpt, ...fields });
  return client.reached(id, 'succeeded');
}

/** What the provider was told, call by call. */
const sentTo = (calls: ReturnType<typeof openai>) =>
  calls.map((call) => call.json() as { prompt: string; size?: string });

describe('a style', () => {
  it('changes the prompt that is sent, and leaves the one that was written', async () => {
    const calls = openai(image);
    const style = await newStyle({ negative_prompt: 'photo' });
    const request = await made(await newClient(), { style, negative_prompt: 'rain' });
    expect(sentTo(calls)).toMatchObject([{ prompt: 'a boat, in ink' }]);
    expect(request.input).toMatchObject({
      prompt: 'a boat',
      negative_prompt: 'rain',
      style,
      styled: { prompt: 'a boat, in ink', negative_prompt: 'rain, photo' },
    });
  });

  it('fills gaps with its defaults, and gaps only', async () => {
    const calls = openai(image);
    const style = await newStyle({
      defaults: { width: 1536, height: 1024, model: 'gpt-image-1.5' },
    });
    const client = await newClient();
    const plain = await client.call('POST', '/v1/requests', { body: { prompt: 'a boat', style } });
    const first = await client.reached((await plain.json<RequestView>()).id);
    expect(first).toMatchObject({ model: 'gpt-image-1.5', input: { width: 1536, height: 1024 } });
    const second = await made(client, { style, width: 1024, height: 1024 });
    expect(second).toMatchObject({ model: 'gpt-image-1', input: { width: 1024, height: 1024 } });
    const third = await made(client, { style, aspect_ratio: '2:3' });
    expect(third.input).not.toHaveProperty('width');
    expect(sentTo(calls).map(({ size }) => size)).toEqual(['1536x1024', '1024x1024', '1024x1536']);
  });

  it('that sets a strength says nothing where there is no image', async () => {
    openai(image);
    const style = await newStyle({ defaults: { strength: 0.5 } });
    const request = await made(await newClient(), { style });
    expect(request.input).not.toHaveProperty('strength');
  });

  it.each(['gone', 'Not A Style', '../x', '{prompt}'])(
    'that is unknown (%s) is refused by name',
    async (style) => {
      const response = await ask(await newClient(), { style });
      expect(response.status).toBe(422);
      expect(await response.json()).toMatchObject({
        code: 'invalid_request',
        errors: [{ path: 'style', message: 'there is no such style' }],
      });
    },
  );

  it('whose default model is gone is refused like one that the client names', async () => {
    // As it stands in D1 when the operator has taken the model away since.
    await env.DB.prepare(
      `INSERT INTO styles (id, description, prompt_template, negative_prompt, defaults, created_at,
         updated_at) VALUES ('left-behind', '', '{prompt}', NULL, '{"model":"gone"}', 1, 1)`,
    ).run();
    const body = { prompt: 'a boat', style: 'left-behind' };
    const response = await (await newClient()).call('POST', '/v1/requests', { body });
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({ code: 'unknown_model' });
  });

  it('reads a prompt as text: neither its own placeholder nor a pattern means anything', async () => {
    const calls = openai(image);
    const style = await newStyle({ prompt_template: 'ink: {prompt}!' });
    await made(await newClient(), { style, prompt: "{prompt} $& $' $1" });
    expect(sentTo(calls)).toMatchObject([{ prompt: "ink: {prompt} $& $' $1!" }]);
  });
});

describe('no style', () => {
  it('may be said, and is what a request has unless it says otherwise', async () => {
    const response = await ask(await newClient({ max_running: 0 }), { style: null });
    expect(response.status).toBe(202);
    expect((await response.json<RequestView>()).input).not.toHaveProperty('style');
  });
});

describe('a style that is changed after a request was accepted', () => {
  it('does not change what is sent for it, but what is sent for the next', async () => {
    const calls = openai(image);
    const style = await newStyle();
    const client = await newClient({ max_running: 0 });
    const { id } = await client.submit({ ...gpt, style });
    await replace(style, { prompt_template: '{prompt}, in oil' });
    await setSlots(client, 1);
    const request = await client.reached(id, 'succeeded');
    expect(request.input.styled).toEqual({ prompt: 'a boat, in ink' });
    await made(client, { style });
    expect(sentTo(calls).map(({ prompt }) => prompt)).toEqual(['a boat, in ink', 'a boat, in oil']);
  });

  it('does not change its other attempts, nor a retry', async () => {
    const calls = openai(serverError, image);
    const style = await newStyle();
    const client = await newClient();
    const { id } = await client.submit({ ...gpt, style, max_attempts: 1 });
    await client.reached(id, 'failed');
    expect((await remove(style)).status).toBe(204);
    const response = await client.call('POST', `/v1/requests/${id}/retry`);
    expect(response.status).toBe(202);
    await client.reached((await response.json<RequestView>()).id, 'succeeded');
    expect(sentTo(calls).map(({ prompt }) => prompt)).toEqual(['a boat, in ink', 'a boat, in ink']);
    expect((await ask(client, { style })).status).toBe(422);
  });

  it('is another request: nothing made in the old style is reused', async () => {
    const calls = openai(image);
    const style = await newStyle();
    const client = await newClient();
    const equal = { style, seed: 1, reuse: 'exact' };
    const first = await made(client, equal);
    expect(await (await ask(client, equal)).json()).toMatchObject({ reused_from: first.id });
    await replace(style, { prompt_template: '{prompt}, in oil' });
    expect((await made(client, equal)).reused_from).toBeNull();
    expect(calls).toHaveLength(2);
  });
});

describe('a variation', () => {
  const vary = async (client: Client, of: RequestView, fields: object = {}) => {
    const body = { variations_of: of.id, ...fields };
    const response = await client.call('POST', '/v1/requests', { body });
    expect(response.status).toBe(202);
    return client.reached((await response.json<RequestView>()).id, 'succeeded');
  };

  it('takes the style over, as it is at that time, and applies it once', async () => {
    const calls = openai(image);
    const style = await newStyle();
    const client = await newClient();
    const first = await made(client, { style });
    const second = await vary(client, first);
    expect(second.input).toMatchObject({ prompt: 'a boat', style });
    await replace(style, { prompt_template: '{prompt}, in oil' });
    await vary(client, second, { prompt: 'a ship' });
    expect(sentTo(calls).map(({ prompt }) => prompt)).toEqual([
      'a boat, in ink',
      'a boat, in ink',
      'a ship, in oil',
    ]);
  });

  it('is told of a style that is gone as its original’s, and may drop it or have another', async () => {
    const calls = openai(image);
    const [style, other] = [
      await newStyle(),
      await newStyle({ prompt_template: '{prompt}, in oil' }),
    ];
    const client = await newClient();
    const first = await made(client, { style });
    expect((await remove(style)).status).toBe(204);
    for (const dry_run of [true, false]) {
      const body = { variations_of: first.id, dry_run };
      const response = await client.call('POST', '/v1/requests', { body });
      expect(response.status).toBe(422);
      expect(await response.json()).toMatchObject({
        code: 'invalid_request',
        errors: [
          {
            path: 'variations_of',
            message: `its style ${style} is gone: name another, or null for none`,
          },
        ],
      });
    }
    expect((await vary(client, first, { style: null })).input).not.toHaveProperty('style');
    await vary(client, first, { style: other });
    expect(sentTo(calls).map(({ prompt }) => prompt)).toEqual([
      'a boat, in ink',
      'a boat',
      'a boat, in oil',
    ]);
  });

  it('has its own style, with its defaults, in the place of the original’s', async () => {
    const calls = openai(image);
    const client = await newClient();
    const first = await made(client, { style: await newStyle(), width: 1024, height: 1024 });
    const oil = await newStyle({
      prompt_template: '{prompt}, in oil',
      defaults: { aspect_ratio: '2:3' },
    });
    const second = await vary(client, first, { style: oil });
    expect(second.input).toMatchObject({ style: oil, aspect_ratio: '2:3' });
    expect(second.input).not.toHaveProperty('width');
    expect(sentTo(calls)).toMatchObject([
      { prompt: 'a boat, in ink', size: '1024x1024' },
      { prompt: 'a boat, in oil', size: '1024x1536' },
    ]);
  });

  it('keeps what the original said in the place of the style’s defaults', async () => {
    const calls = openai(image);
    const style = await newStyle({ defaults: { width: 1536, height: 1024 } });
    const client = await newClient();
    const first = await made(client, { style, width: 1024, height: 1024 });
    await vary(client, first);
    expect(sentTo(calls).map(({ size }) => size)).toEqual(['1024x1024', '1024x1024']);
  });
});

async function setSlots(client: Client, max_running: number): Promise<void> {
  const body = { limits: { max_running } };
  const path = `/v1/admin/users/${client.userId}`;
  expect((await http('PATCH', path, { body, headers: ADMIN })).status).toBe(200);
}
