// Every tool, driven by the official client, in both eras of the protocol.
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ImageView } from '../../src/images/types';
import type { RequestView } from '../../src/requests/view';
import {
  type Client,
  confirmed,
  held,
  http,
  indexed,
  newClient,
  openai,
  useWorld,
} from '../journeys/support';
import {
  type Agent,
  blocksOf,
  connect,
  eras,
  type RequestAnswer,
  textOf,
  watchers,
} from './support';

useWorld();

const SMALL = { model: 'sketch', prompt: 'a boat', width: 64, height: 64 };

const names = [
  'generate_image',
  'edit_image',
  'get_request',
  'wait_for_request',
  'cancel_request',
  'list_requests',
  'list_models',
  'list_images',
  'get_image',
  'delete_image',
];

describe.each(eras)('an agent that speaks %o', (era) => {
  let user: Client;
  let agent: Agent;
  beforeAll(async () => {
    user = await newClient();
    agent = await connect(user.key, era);
  });

  const made = async () => {
    const { request } = await agent.data<RequestAnswer>('generate_image', SMALL);
    const [image] = request.images;
    if (!image) throw new Error('no image was made');
    return { request, image };
  };

  it('reads what each tool is for, takes and gives, and what it does to the world', async () => {
    const { tools } = await agent.client.listTools();
    expect(tools.map(({ name }) => name)).toEqual(names);
    for (const { name, title, description, inputSchema, outputSchema, annotations } of tools) {
      expect([name, title, description]).toEqual([
        name,
        expect.stringMatching(/\w/),
        expect.stringMatching(/\.$/),
      ]);
      expect([name, inputSchema.additionalProperties]).toEqual([name, false]);
      expect([name, outputSchema?.type]).toEqual([name, 'object']);
      // A client that has kept it must take what a later version adds; a model pays for every letter.
      expect(JSON.stringify(outputSchema)).not.toMatch(/"additionalProperties":false|"pattern"/);
      for (const [argument, schema] of Object.entries(inputSchema.properties ?? {})) {
        const known = schema as { description?: string; enum?: unknown };
        expect([name, argument, known.description ?? known.enum]).not.toContain(undefined);
      }
      const isReading = /^(get|wait|list)_/.test(name);
      expect([name, annotations]).toEqual([
        name,
        {
          readOnlyHint: isReading,
          destructiveHint: /^(cancel|delete)_/.test(name),
          idempotentHint: !/^(generate|edit)_/.test(name),
          openWorldHint: /^(generate|edit)_/.test(name),
        },
      ]);
    }
    const [generate] = tools;
    expect(generate?.inputSchema.required).toEqual(['prompt']);
    expect(Object.keys(generate?.inputSchema.properties ?? {})).toEqual(
      expect.arrayContaining([
        'num_inference_steps',
        'idempotency_key',
        'wait_seconds',
        'style',
        'on_budget',
      ]),
    );
  });

  it('generates an image, and is told how it goes', async () => {
    const told: (string | undefined)[] = [];
    const result = await agent.client.callTool(
      { name: 'generate_image', arguments: SMALL },
      { onprogress: ({ message }) => told.push(message) },
    );
    const { request, next_step: next } = result.structuredContent as RequestAnswer;
    expect([request.status, next]).toEqual(['succeeded', null]);
    expect(told.at(0)).toMatch(/^waiting, position 1$|^running on sketch, attempt 1$/);
    expect(told.at(-1)).toBe('succeeded');

    const [image] = request.images;
    const [link] = blocksOf(result.content, 'resource_link');
    expect(link).toMatchObject({
      uri: `foreman://images/${image?.id}`,
      mimeType: 'image/png',
      size: image?.bytes,
    });
    expect(textOf(result)).toContain(image?.signed_url);
    const [picture] = blocksOf(result.content, 'image');
    const bytes = Buffer.from(picture?.data ?? '', 'base64');
    expect([picture?.mimeType, bytes.byteLength]).toEqual(['image/png', image?.bytes]);
    const stored = await env.IMAGES.get(`images/${request.id}/1/0`);
    expect(bytes.equals(Buffer.from((await stored?.arrayBuffer()) ?? []))).toBe(true);
  });

  it('edits an image by its id and by its address', async () => {
    const { image } = await made();
    for (const reference of [image.id, `foreman://images/${image.id}`]) {
      const calls = openai();
      const { request } = await agent.data<RequestAnswer>('edit_image', {
        model: 'gpt-image-1',
        prompt: 'at night',
        image: reference,
      });
      expect([request.status, request.input.image]).toEqual(['succeeded', image.id]);
      expect(calls.map(({ url }) => url)).toEqual(['https://openai.test/v1/images/edits']);
    }
  });

  it('looks at a request, waits for it, and cancels one', async () => {
    const gate = held();
    openai(gate.answer);
    const asked = { model: 'gpt-image-1', prompt: 'a boat', wait_seconds: 0 };
    const started = await agent.data<RequestAnswer>('generate_image', asked);
    const { id } = started.request;
    expect(started.next_step).toContain(id);
    await user.reached(id, 'running');
    const seen = await agent.data<RequestAnswer>('get_request', { id });
    expect(seen.request).toMatchObject({ status: 'running', attempts: [{ provider: 'openai' }] });

    const waiting = agent.data<RequestAnswer>('wait_for_request', { id });
    await watchers(user, 1);
    gate.open();
    expect((await waiting).request.status).toBe('succeeded');

    openai(held().answer);
    const other = await agent.data<RequestAnswer>('generate_image', { ...asked, prompt: 'b' });
    const canceled = await agent.data<RequestAnswer>('cancel_request', { id: other.request.id });
    expect(canceled.request.status).toBe('canceled');
    expect(await agent.fault('wait_for_request', { id: other.request.id })).toMatchObject({
      code: 'canceled',
    });
  });

  it('lists requests, by what they were tagged with and page by page', async () => {
    const tag = { metadata: { batch: crypto.randomUUID() } };
    const ids: string[] = [];
    for (const prompt of ['one', 'two', 'three']) {
      const asked = { ...SMALL, ...tag, prompt };
      const { request } = await agent.data<RequestAnswer>('generate_image', asked);
      ids.unshift(request.id);
    }
    await Promise.all(ids.map((id) => indexed(id, 'succeeded')));
    interface Page {
      items: RequestView[];
      next_cursor: string | null;
    }
    const first = await agent.data<Page>('list_requests', { ...tag, limit: 2 });
    const cursor = first.next_cursor;
    const second = await agent.data<Page>('list_requests', { ...tag, limit: 2, cursor });
    expect([...first.items, ...second.items].map(({ id }) => id)).toEqual(ids);
    expect(second.next_cursor).toBeNull();
    const failed = await agent.data<Page>('list_requests', { ...tag, status: 'failed' });
    expect(failed.items).toEqual([]);
  });

  it('lists models that are available, and why others are not', async () => {
    interface Models {
      items: { id: string; available: boolean; unavailable_reason: string | null }[];
    }
    const { items } = await agent.data<Models>('list_models');
    expect(items.map(({ id }) => id)).toEqual(expect.arrayContaining(['auto', 'sketch']));
    expect(items.every(({ available }) => available)).toBe(true);
    const all = await agent.data<Models>('list_models', { include_unavailable: true });
    const missing = all.items.filter(({ available }) => !available);
    expect(missing.length).toBeGreaterThan(0);
    const [one] = missing;
    const named = await agent.data<Models>('list_models', { id: one?.id });
    expect(named.items).toEqual([one]);
    expect(one?.unavailable_reason).toMatch(/\w/);
  });

  it('lists images, looks at one in the size it wants, and deletes it', async () => {
    const { request, image } = await made();
    await confirmed(user, request.id);
    const { items } = await agent.data<{ items: ImageView[] }>('list_images', {
      request_id: `foreman://requests/${request.id}`,
    });
    expect(items).toEqual([image]);

    const whole = await agent.call('get_image', { id: image.id });
    expect(whole.structuredContent).toEqual(image);
    const small = await agent.call('get_image', { id: image.id, max_width: 40 });
    const [copy] = blocksOf(small.content, 'image');
    expect(widthOfPng(copy?.data ?? '')).toBe(32);

    expect(await agent.data('delete_image', { id: image.id })).toEqual({
      id: image.id,
      deleted: true,
    });
    expect(await agent.fault('get_image', { id: image.id })).toMatchObject({ code: 'not_found' });
    expect((await http('GET', image.signed_url)).status).toBe(404);
  });

  it('hears of a tool that is not there as a fault of the protocol', async () => {
    await expect(agent.call('draw')).rejects.toMatchObject({ code: -32602 });
  });
});

const widthOfPng = (data: string) => Buffer.from(data, 'base64').readUInt32BE(16);
