// What generate_image and edit_image take, how they wait, and how they fail.
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { INLINE, pictureBlocks } from '../../src/mcp/content';
import {
  advance,
  type Client,
  held,
  image,
  newClient,
  openai,
  serverError,
  until,
  useWorld,
} from '../journeys/support';
import { faults } from '../support/worker';
import {
  type Agent,
  blocksOf,
  callOf,
  connect,
  type RequestAnswer,
  send,
  textOf,
  watchers,
} from './support';

useWorld();

const SMALL = { model: 'sketch', prompt: 'a boat', width: 64, height: 64 };
const SLOW = { model: 'gpt-image-1', prompt: 'a boat' };

let user: Client;
let agent: Agent;
beforeAll(async () => {
  user = await newClient();
  agent = await connect(user.key);
});

const generate = (args: object) =>
  agent.data<RequestAnswer>('generate_image', { ...('model' in args ? {} : SMALL), ...args });

describe('the arguments', () => {
  it('of older image servers have an effect under their names', async () => {
    const { request } = await generate({
      num_inference_steps: 12,
      guidance_scale: 7.5,
      negative_prompt: 'people',
      seed: 4,
    });
    expect(request.input).toEqual({
      prompt: 'a boat',
      n: 1,
      width: 64,
      height: 64,
      steps: 12,
      guidance_scale: 7.5,
      negative_prompt: 'people',
      seed: 4,
    });
    expect((await generate({ steps: 3, num_inference_steps: 3 })).request.input.steps).toBe(3);
  });

  it.each([
    [{ ...SMALL, steps: 3, num_inference_steps: 4 }, 'num_inference_steps'],
    [{ ...SMALL, n_images: 2 }, 'n_images'],
    [{ ...SMALL, image: 'img_1' }, 'image'],
    [{ ...SMALL, width: 63 }, 'width'],
    [{ ...SMALL, height: undefined }, 'height'],
    [{ ...SMALL, wait_seconds: 301 }, 'wait_seconds'],
    [{ ...SMALL, metadata: { key: 'x'.repeat(513) } }, 'metadata.key'],
    [{ ...SMALL, prompt: ' ' }, 'prompt'],
    [{}, 'prompt'],
  ])('%j are refused by naming %s', async (args, path) => {
    const fault = await agent.fault('generate_image', args);
    expect([fault.code, fault.details.errors]).toEqual([
      'invalid_request',
      [expect.objectContaining({ path })],
    ]);
    expect(fault.text).toContain(`- ${path}: `);
  });

  it('are judged as those of POST /v1/requests', async () => {
    const unknown = await agent.fault('generate_image', { ...SMALL, model: 'nothing' });
    expect(unknown.code).toBe('unknown_model');
    const style = await agent.fault('generate_image', { ...SMALL, style: 'nothing' });
    expect([style.code, style.text]).toEqual([
      'invalid_request',
      expect.stringContaining('- style: '),
    ]);
    const limited = await newClient({ burst: 1, requests_per_minute: 1 });
    const other = await connect(limited.key);
    await other.data('generate_image', SMALL);
    const fault = await other.fault('generate_image', SMALL);
    expect([fault.code, fault.details.retry_after_seconds]).toEqual([
      'rate_limited',
      expect.any(Number),
    ]);
  });
});

describe('a budget that does not reach', () => {
  it('refuses, names on_budget, and with it lets the same call wait', async () => {
    const poor = await newClient({ monthly_budget_usd: 0.001 });
    const other = await connect(poor.key);
    openai(image);
    const fault = await other.fault('generate_image', SLOW);
    expect(fault.code).toBe('quota_exceeded');
    const asked = { ...SLOW, on_budget: 'wait', wait_seconds: 0 };
    const { request } = await other.data<RequestAnswer>('generate_image', asked);
    expect(request.status).toBe('queued');
    await until(async () => {
      const id = { id: request.id };
      const { request: now } = await other.data<RequestAnswer>('get_request', id);
      expect(now.waiting?.reason).toBe('budget');
    });
    const wrong = await other.fault('edit_image', { ...SLOW, image: 'img_1', on_budget: 'maybe' });
    expect(wrong.text).toContain('- on_budget: ');
  });
});

describe('an image to start from', () => {
  const PIXEL =
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
  const EDIT = {
    model: 'gpt-image-1',
    prompt: 'at night',
    image: `data:image/png;base64,${PIXEL}`,
  };

  it('may be a data URL, and is kept as an upload of the user', async () => {
    const calls = openai(image);
    const { request } = await agent.data<RequestAnswer>('edit_image', EDIT);
    expect(request.status).toBe('succeeded');
    expect(calls.map(({ url }) => url)).toEqual(['https://openai.test/v1/images/edits']);
    const kept = String(request.input.image);
    const { media_type: type } = await agent.data<{ media_type: string }>('get_image', {
      id: kept,
    });
    expect([type, JSON.stringify(request)]).toEqual([
      'image/png',
      expect.not.stringContaining(PIXEL),
    ]);
  });

  it.each([
    [{ ...EDIT, image: undefined }, 'image'],
    [{ ...EDIT, image: 'ftp://example.com/a.png' }, 'image'],
    [{ ...EDIT, image: 'data:text/plain;base64,aGk=' }, 'image'],
    [{ ...EDIT, mask: 'img_nothing' }, 'mask'],
    [{ ...EDIT, strength: 2 }, 'strength'],
  ])('is refused when it is none: %#', async (args, path) => {
    const { code, text } = await agent.fault('edit_image', args);
    expect([code, text]).toEqual(['invalid_request', expect.stringContaining(`- ${path}: `)]);
  });
});

describe('an idempotency key', () => {
  it('collects the same request, billed once, however long each call waits', async () => {
    const calls = openai(image);
    const asked = { ...SLOW, idempotency_key: crypto.randomUUID() };
    const first = await generate({ ...asked, wait_seconds: 0 });
    const second = await generate(asked);
    expect(second.request.id).toBe(first.request.id);
    expect([second.request.status, calls.length]).toEqual(['succeeded', 1]);
    const fault = await agent.fault('generate_image', { ...asked, prompt: 'a ship' });
    expect(fault.code).toBe('idempotency_mismatch');
  });
});

describe('a call that waits', () => {
  it('is told of every change, with numbers that only grow', async () => {
    const gate = held();
    openai(gate.answer);
    const told: { progress: number; message?: string | undefined }[] = [];
    const answer = agent.client.callTool(
      { name: 'generate_image', arguments: SLOW },
      { onprogress: (progress) => told.push(progress) },
    );
    await until(() => expect(told.at(-1)?.message).toBe('running on openai, attempt 1'));
    gate.open();
    expect((await answer).structuredContent).toMatchObject({ request: { status: 'succeeded' } });
    expect(told.at(-1)?.message).toBe('succeeded');
    expect(told.map(({ progress }) => progress)).toEqual(told.map((_, index) => index + 1));
  });

  it('answers with what there is when its time is over', async () => {
    const gate = held();
    openai(gate.answer);
    const { request, next_step: next } = await generate({ ...SLOW, wait_seconds: 1 });
    expect(['queued', 'running']).toContain(request.status);
    expect(next).toContain(`wait_for_request with the id ${request.id}`);
    gate.open();
    await user.reached(request.id, 'succeeded');
  });

  it('answers with the id of what was accepted, whatever becomes of the waiting', async () => {
    const gate = held();
    openai(gate.answer);
    Object.assign(faults, { foreman: 'fail', only: ['fetch', 'read'] });
    const { request } = await generate(SLOW);
    expect(request.id).toMatch(/^req_/);
    Object.assign(faults, { foreman: null });
    gate.open();
    await user.reached(request.id, 'succeeded');
  });

  it.each([
    [
      'is canceled by its client',
      async (): Promise<void> => {
        const cancel = new AbortController();
        const call = agent.client.callTool(
          { name: 'generate_image', arguments: SLOW },
          { signal: cancel.signal },
        );
        await watchers(user, 1);
        cancel.abort();
        await expect(call).rejects.toThrow();
      },
    ],
    [
      'loses its line',
      async (): Promise<void> => {
        const response = await send(user.key, callOf('generate_image', SLOW));
        await watchers(user, 1);
        await response.body?.cancel();
      },
    ],
  ])('that %s waits no more, and its request goes on', async (_, hangUp) => {
    await watchers(user, 0);
    const gate = held();
    const calls = openai(gate.answer);
    await hangUp();
    await watchers(user, 0);
    gate.open();
    await until(() => expect(calls).toHaveLength(1));
    const [newest] = await vi.waitFor(async () => {
      const items = (await user.list()).filter(({ model }) => model === SLOW.model);
      expect(items[0]?.status).toBe('succeeded');
      return items;
    }, 8_000);
    expect(newest?.attempts).toHaveLength(1);
  });
});

describe('a request that brings no image', () => {
  it('is a failure, with the code and the request', async () => {
    openai(serverError);
    const asked = { ...SLOW, deadline_seconds: 5 };
    const waiting = agent.call('generate_image', asked);
    await watchers(user, 1);
    advance(10_000);
    await user.alarm();
    const result = await waiting;
    expect([result.isError, textOf(result)]).toEqual([
      true,
      expect.stringContaining('deadline_exceeded: '),
    ]);
    expect(result.structuredContent).toMatchObject({
      error: { code: 'deadline_exceeded', message: expect.any(String) },
      request: { status: 'expired' },
    });
  });

  it('is a refusal when a provider refuses', async () => {
    const asked = { model: 'chaos-refuse-input', prompt: 'a boat' };
    const { code, text } = await agent.fault('generate_image', asked);
    expect(code).toBe('content_refused');
    expect(text).toMatch(/^content_refused: .+\nreq_\w+: failed\./);
  });
});

describe('pictures', () => {
  it('of large images are smaller copies', async () => {
    const large = { ...SMALL, width: 640, height: 640 };
    const result = await agent.call('generate_image', large);
    const [made] = (result.structuredContent as RequestAnswer | undefined)?.request.images ?? [];
    expect(made?.bytes).toBeGreaterThan(INLINE.maxBytes);
    const [picture, ...others] = blocksOf(result.content, 'image');
    expect([picture?.mimeType, others]).toEqual(['image/jpeg', []]);
    const bytes = Buffer.from(picture?.data ?? '', 'base64');
    expect(bytes.byteLength).toBeLessThanOrEqual(INLINE.maxBytes);
  });

  it('are as many as an answer can carry, and left out where they cannot be had', async () => {
    const { request } = await generate({ n: 8 });
    const images = request.images.map((one) => ({ ...one, bytes: INLINE.maxBytes }));
    const openings: string[] = [];
    const imageContent = {
      open: async ({ id }: { id: string }) => {
        openings.push(id);
        if (openings.length === 2) throw new Error('R2 is away');
        const facts = { bytes: INLINE.maxBytes, mediaType: 'image/png' };
        const body = new Response(new Uint8Array(INLINE.maxBytes)).body;
        return { answer: 'whole', facts, body, readAt: 0 } as never;
      },
    };
    const viewer = user.userId;
    const blocks = await pictureBlocks(images, { imageContent, now: Date.now, viewer });
    expect([blocks.length, openings.length]).toEqual([3, 4]);
  });
});
