import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { submissionSchema } from '../../src/generation/submission';
import { inspectImage } from '../../src/images/inspect';
import type { JsonObject } from '../../src/platform/json';
import { isTerminal, type Preview, type RequestState } from '../../src/requests/types';
import { createServices } from '../../src/services';
import { newTenant, type Tenant } from '../support/foreman';
import type { Script } from '../support/scripted-fetch';
import { faulted, faults } from '../support/worker';
import {
  deliver,
  held,
  image,
  messagesTo,
  newClient,
  openai,
  PNG,
  until,
  useWorld,
} from './support';

useWorld();

const services = createServices(env);

async function submit({ credential }: Tenant, fields: JsonObject) {
  const rawBody: JsonObject = { prompt: 'a boat', ...fields };
  return services.generation.submit({
    credential,
    rawBody,
    body: submissionSchema.parse(rawBody),
    context: {
      ...{ idempotencyKey: null, origin: 'https://foreman.test' },
      ...{ correlationId: 'correlation-1', traceparent: null },
    },
  });
}

/** Holds a line until the end, and notes all that came over it, in order. */
function hold({ credential }: Tenant, submitted: Awaited<ReturnType<typeof submit>>) {
  const heard: (Preview | RequestState['status'])[] = [];
  const ended = services.requests
    .awaitEnd({
      ...{ credential, submitted, ms: 8_000, hungUp: new AbortController().signal },
      onPreview: (preview) => heard.push(preview),
    })
    .then(({ state }) => {
      heard.push(state.status);
      return state;
    });
  return { heard, ended };
}

const watched = ({ stub }: Tenant, id: string) =>
  until(async () => {
    const sockets = await runInDurableObject(stub, (_, state) => state.getWebSockets(id).length);
    expect(sockets).toBe(1);
  });

const bytesOf = (text: string) => new TextEncoder().encode(text);

/** The images API as a stream, whose events come when they are told to. */
function streaming() {
  const events = Array.from({ length: 3 }, () => Promise.withResolvers<object>());
  let told = 0;
  const tell = (event: object) => {
    events[told]?.resolve(event);
    told += 1;
  };
  const answer: Script = () => {
    let read = 0;
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        const event = await events[read]?.promise;
        read += 1;
        controller.enqueue(bytesOf(`data: ${JSON.stringify(event)}\n\n`));
      },
    });
    const headers = { 'content-type': 'text/event-stream', 'x-request-id': 'p-1' };
    return new Response(body, { headers });
  };
  const partial = (index: number) =>
    tell({
      ...{ type: 'image_generation.partial_image', partial_image_index: index },
      ...{ b64_json: btoa(`partial ${index}`), output_format: 'png' },
    });
  const complete = () => {
    const size = { quality: 'medium', size: '1024x1024' };
    tell({ type: 'image_generation.completed', b64_json: PNG, created_at: 1, ...size });
  };
  return { answer, partial, complete };
}

/** `seen` once the text has come; `whole` at the end of the stream. */
function readTo(stream: ReadableStream<Uint8Array>, text: string) {
  const seen = Promise.withResolvers<void>();
  const readAll = async () => {
    let read = '';
    for await (const part of stream.pipeThrough(new TextDecoderStream())) {
      read += part;
      if (read.includes(text)) seen.resolve();
    }
    return read;
  };
  return { seen: seen.promise, whole: readAll() };
}

const previewOf = (index: number): Preview => ({
  ...{ attempt: 1, index, mediaType: 'image/png', bytes: bytesOf(`partial ${index}`) },
});

describe('previews', () => {
  it('reach who holds the line while the image is made, in order and before the end', async () => {
    const { answer, partial, complete } = streaming();
    const calls = openai(answer);
    const tenant = await newTenant();
    const submitted = await submit(tenant, { model: 'gpt-image-1', previews: 2 });
    const { heard, ended } = hold(tenant, submitted);
    await watched(tenant, submitted.state.id);
    await until(() => expect(calls).toHaveLength(1));
    expect(calls[0]?.json()).toMatchObject({ stream: true, partial_images: 2 });
    for (const index of [0, 1]) {
      partial(index);
      await until(() => expect(heard).toHaveLength(index + 1));
    }
    complete();
    const state = await ended;
    expect(heard).toEqual([previewOf(0), previewOf(1), 'succeeded']);
    expect(state).toMatchObject({ status: 'succeeded', version: 3, outputWarnings: [] });
    expect(JSON.stringify(state)).not.toContain(btoa('partial'));
  });

  it('are events of a stream that asks for them, without ids, and of no other', async () => {
    const { answer, partial, complete } = streaming();
    openai(answer);
    const client = await newClient();
    const { id } = await client.submit({ model: 'gpt-image-1', previews: 2 });
    const follow = async (query: string) => {
      const { body } = await client.call('GET', `/v1/requests/${id}/events${query}`);
      return body ?? expect.fail('no stream');
    };
    const [asking, other] = [await follow('?previews=true'), await follow('')];
    const text = readTo(asking, 'request.preview');
    const silent = new Response(other).text();
    await until(async () => {
      const listening = await client.sql((_, state) => state.getWebSockets(id).length);
      expect(listening).toBe(2);
    });
    partial(0);
    await text.seen;
    complete();
    const [told, untold] = [await text.whole, await silent];
    const types = [...told.matchAll(/^event: (.*)$/gm)].map(([, type]) => type);
    expect(types.filter((type) => type === 'request.preview')).toHaveLength(1);
    expect(types.at(-1)).toBe('request.succeeded');
    const [, data = ''] = /^event: request\.preview\ndata: (.*)$/m.exec(told) ?? [];
    expect(JSON.parse(data).data).toEqual({
      ...{ attempt: 1, index: 0, media_type: 'image/png', b64_json: btoa('partial 0') },
    });
    expect(told).not.toMatch(/id: .*\nevent: request\.preview/);
    expect(untold).toContain('request.succeeded');
    expect(untold).not.toContain('request.preview');
  });

  it('come from the drawing of who has no provider at all', async () => {
    const tenant = await newTenant();
    // Drawn quickly: who comes a moment later has missed them.
    Object.assign(faults, { generation: 'swallow' });
    const submitted = await submit(tenant, { model: 'sketch', previews: 3, width: 64, height: 64 });
    const { heard, ended } = hold(tenant, submitted);
    await watched(tenant, submitted.state.id);
    Object.assign(faults, { generation: null });
    await deliver('generation', messagesTo('generation'));
    await ended;
    const [first] = heard;
    expect(heard.at(-1)).toBe('succeeded');
    if (typeof first !== 'object') throw new Error('expected a preview');
    expect([first.attempt, first.index]).toEqual([1, 0]);
    expect(inspectImage(first.bytes)).toMatchObject({ ok: true, mediaType: 'image/png' });
  });

  it('that cannot be handed on hinder nothing', async () => {
    const { answer, partial, complete } = streaming();
    openai(answer);
    const tenant = await newTenant();
    const { state } = await submit(tenant, { model: 'gpt-image-1', previews: 2 });
    Object.assign(faults, { foreman: 'fail', only: ['preview'] });
    for (const index of [0, 1]) partial(index);
    await until(() => expect(faulted.foreman).toBeGreaterThan(0));
    complete();
    await until(async () => {
      const now = await services.requests.get({ credential: tenant.credential, id: state.id });
      expect(isTerminal(now.state)).toBe(true);
      expect(now.state.status).toBe('succeeded');
    });
  });

  it('make no other request of one: who joins an equal one has its images, and sees none', async () => {
    const gate = held(image);
    openai(gate.answer);
    const client = await newClient();
    const equal = { model: 'gpt-image-1', seed: 7, reuse: 'exact' };
    const first = await client.submit(equal);
    const second = await client.submit({ ...equal, previews: 3 });
    gate.open();
    await client.reached(first.id, 'succeeded');
    expect(await client.reached(second.id)).toMatchObject({
      ...{ status: 'succeeded', reused_from: first.id, attempts: [] },
    });
  });
});
