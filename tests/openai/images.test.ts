// OpenAI's dialect over HTTP, in front of the real foreman, queue and storage.
import { createExecutionContext } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { createApp } from '../../src/app';
import type { LineTiming } from '../../src/openai/lines';
import { createServices } from '../../src/services';
import {
  advance,
  type Client,
  held,
  http,
  image,
  newClient,
  ORIGIN,
  openai,
  serverError,
  until,
  useWorld,
} from '../journeys/support';
import { faults } from '../support/worker';

useWorld();

const GENERATIONS = '/openai/v1/images/generations';
const EDITS = '/openai/v1/images/edits';
const small = { model: 'sketch', prompt: 'a boat', size: '64x64' };

interface ImagesBody {
  readonly created: number;
  readonly data: readonly { url?: string; b64_json?: string }[];
  readonly output_format: string;
  readonly size: string;
  readonly foreman: {
    readonly request_id: string;
    readonly provider: string;
    readonly cost_usd: number;
    readonly warnings: readonly string[];
  };
}
interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string | null;
  };
}

let client: Client;
beforeAll(async () => {
  client = await newClient({ burst: 1_000, requests_per_minute: 1_000 });
});

const generate = (body: object, headers: Record<string, string> = {}, by = client) =>
  by.call('POST', GENERATIONS, { body, headers });

async function made(response: Response): Promise<ImagesBody> {
  expect([response.status, response.headers.get('content-type')]).toEqual([
    200,
    'application/json',
  ]);
  const body = await response.json<ImagesBody>();
  expect(response.headers.get('x-foreman-request-id')).toBe(body.foreman.request_id);
  return body;
}

async function refused(
  response: Response,
  status: number,
  error: object,
): Promise<ErrorBody['error']> {
  const body = await response.json<ErrorBody>();
  expect([response.status, body]).toMatchObject([status, { error }]);
  expect(response.headers.get('x-request-id')).toBe(response.headers.get('x-correlation-id'));
  return body.error;
}

/** The service with other patience. */
function app(timing: Partial<LineTiming>) {
  const services = createServices(env);
  const openAiTiming = { ...services.openAiTiming, ...timing };
  const own = createApp({ ...services, openAiTiming });
  return (path: string, body: object, init: RequestInit = {}) => {
    const headers = { authorization: `Bearer ${client.key}`, 'content-type': 'application/json' };
    const request = new Request(ORIGIN + path, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
      ...init,
    });
    return Promise.resolve(own.fetch(request, env, createExecutionContext()));
  };
}

describe('a generation', () => {
  it('answers with links that open without a key', async () => {
    const body = await made(await generate({ ...small, n: 2, user: 'u-1' }));
    expect(body).toMatchObject({
      output_format: 'png',
      size: '64x64',
      foreman: { provider: 'sketch' },
    });
    expect(body.data).toHaveLength(2);
    const opened = await http('GET', body.data[0]?.url ?? '');
    expect([opened.status, opened.headers.get('content-type')]).toEqual([200, 'image/png']);
    await opened.body?.cancel();
    const { metadata } = await client.get(body.foreman.request_id);
    expect(metadata).toEqual({ user: 'u-1' });
  });

  it('answers with the images themselves, the same that are stored', async () => {
    const body = await made(await generate({ ...small, n: 2, response_format: 'b64_json' }));
    const { images } = await client.get(body.foreman.request_id);
    for (const [index, { id }] of images.entries()) {
      const stored = await client.call('GET', `/v1/images/${id}/content`);
      const sent = Buffer.from(body.data[index]?.b64_json ?? '', 'base64');
      expect(sent.equals(Buffer.from(await stored.arrayBuffer()))).toBe(true);
    }
  });

  it('hands its options to OpenAI’s own models, which answer with images by default', async () => {
    const calls = openai(image);
    const body = await made(
      await generate({ model: 'gpt-image-1', prompt: 'a boat', quality: 'low' }),
    );
    expect(calls[0]?.json()).toMatchObject({ model: 'gpt-image-1', quality: 'low' });
    expect(body).toMatchObject({ quality: 'low', foreman: { provider: 'openai' } });
    expect(body.data[0]?.b64_json).toMatch(/^iVBOR/);
  });

  it('warns of options that the provider which made it does not know', async () => {
    const { foreman } = await made(await generate({ ...small, quality: 'low', partial_images: 1 }));
    expect(foreman.warnings).toEqual([
      'partial_images has no effect without stream',
      'quality has no effect: the image was made by sketch',
    ]);
  });

  it.each<[object, number, object]>([
    [{ ...small, seed: 1 }, 400, { code: 'unknown_parameter', param: 'seed' }],
    [{ ...small, n: 9 }, 400, { code: 'invalid_value', param: 'n' }],
    [{ ...small, size: '32x32' }, 400, { code: 'invalid_value', param: 'size' }],
    [{ model: 'sketch' }, 400, { code: 'missing_required_parameter', param: 'prompt' }],
    [{ ...small, model: 'dall-e-9' }, 404, { code: 'model_not_found', param: 'model' }],
    [
      { ...small, model: 'gpt-image-1', size: '64x64' },
      400,
      {
        code: 'no_target_available',
        param: 'model',
        message: expect.stringMatching(
          /^No target of this model can serve this request\. openai\/gpt-image-1: makes the sizes/,
        ),
      },
    ],
    [
      { ...small, size: '12x12' },
      400,
      { param: 'size', message: "'size': Too small: expected number to be >=64." },
    ],
  ])('%j is refused: %i', async (body, status, error) => {
    const response = await generate(body);
    expect(response.headers.get('x-foreman-request-id')).toBeNull();
    await refused(response, status, { type: 'invalid_request_error', ...error });
  });

  it('that ends without images says so, names the request, and is not tried again', async () => {
    const response = await generate({ ...small, model: 'chaos-refuse-input' });
    const id = response.headers.get('x-foreman-request-id') ?? '';
    expect(response.headers.get('x-should-retry')).toBe('false');
    await refused(response, 400, {
      type: 'image_generation_user_error',
      code: 'moderation_blocked',
      moderation_details: { moderation_stage: 'input', categories: ['chaos'] },
    });
    expect((await client.get(id)).status).toBe('failed');
  });

  it('whose images cannot be read says so, and its repetition collects them', async () => {
    const headers = { 'idempotency-key': crypto.randomUUID() };
    const asked = { ...small, response_format: 'b64_json' };
    const { foreman } = await made(await generate(asked, headers));
    Object.assign(faults, { r2: 'fail', only: ['head'] });
    const away = await generate(asked, headers);
    expect(away.headers.get('x-foreman-request-id')).toBe(foreman.request_id);
    await refused(away, 503, { type: 'server_error', code: 'unavailable' });
    faults.r2 = null;
    expect((await made(await generate(asked, headers))).foreman).toEqual(foreman);
  });

  it('over the limit answers as OpenAI does, with when', async () => {
    const poor = await newClient({ burst: 1, requests_per_minute: 1 });
    await made(await generate(small, {}, poor));
    const response = await generate(small, {}, poor);
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
    await refused(response, 429, { type: 'rate_limit_error', code: 'rate_limit_exceeded' });
  });

  it('over the budget answers insufficient_quota, and is not tried again', async () => {
    const poor = await newClient({ monthly_budget_usd: 0.1 });
    openai(image);
    const asked = { model: 'gpt-image-1', prompt: 'a boat', quality: 'medium' };
    await made(await generate(asked, {}, poor));
    const response = await generate(asked, {}, poor);
    expect(response.headers.get('x-should-retry')).toBe('false');
    const error = { type: 'insufficient_quota', code: 'insufficient_quota' };
    const { message } = await refused(response, 429, error);
    expect(message).toMatch(/spent or held for accepted requests\. Send it again later\.$/);
  });
});

describe('a call that is repeated', () => {
  const tried = (times: number) => ({ 'x-stainless-retry-count': String(times) });
  const asked = { model: 'gpt-image-1', prompt: 'a boat of its own' };

  it('by an official client collects what it lost, and the next call is a new one', async () => {
    const calls = openai(image);
    const first = await made(await generate(asked, tried(0)));
    const again = await made(await generate(asked, tried(1)));
    expect([again.foreman, calls.length]).toEqual([first.foreman, 1]);
    const next = await made(await generate(asked, tried(0)));
    const afterIt = await made(await generate(asked, tried(2)));
    expect(next.foreman.request_id).not.toBe(first.foreman.request_id);
    expect([afterIt.foreman, calls.length]).toEqual([next.foreman, 2]);
    const other = await made(await generate({ ...asked, prompt: 'another' }, tried(1)));
    expect([other.foreman.request_id === next.foreman.request_id, calls.length]).toEqual([
      false,
      3,
    ]);
  });

  it('does not collect what is older than any call, or deleted', async () => {
    const first = await made(await generate(small, tried(0)));
    advance(16 * 60_000);
    const second = await made(await generate(small, tried(1)));
    expect(second.foreman.request_id).not.toBe(first.foreman.request_id);
    await client.call('DELETE', `/v1/requests/${second.foreman.request_id}`);
    const third = await made(await generate(small, tried(1)));
    expect(third.foreman.request_id).not.toBe(second.foreman.request_id);
  });

  it('finds a failure as it was, and pays for no other', async () => {
    const calls = openai(serverError);
    const body = { ...asked, prompt: 'a wreck' };
    const first = await generate(body, tried(0));
    expect(first.headers.get('x-should-retry')).toBe('false');
    await refused(first, 502, { type: 'server_error', code: 'provider_failed' });
    const made = calls.length;
    const again = await generate(body, tried(1));
    expect(again.headers.get('x-foreman-request-id')).toBe(
      first.headers.get('x-foreman-request-id'),
    );
    await refused(again, 502, { code: 'provider_failed' });
    expect(calls.length).toBe(made);
  });

  it('after a refusal does not collect what an earlier one made', async () => {
    const poor = await newClient({ burst: 1, requests_per_minute: 1 });
    const first = await made(await generate(small, tried(0), poor));
    const response = await generate(small, tried(0), poor);
    await refused(response, 429, { code: 'rate_limit_exceeded' });
    advance(61_000);
    const again = await made(await generate(small, tried(1), poor));
    expect(again.foreman.request_id).not.toBe(first.foreman.request_id);
  });

  it('with a key of its own is the same request, whatever it counts', async () => {
    const headers = { 'idempotency-key': crypto.randomUUID() };
    const first = await made(await generate(small, { ...headers, ...tried(0) }));
    const again = await generate(small, { ...headers, ...tried(0) });
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect((await made(again)).foreman).toEqual(first.foreman);
    const other = await generate({ ...small, prompt: 'else' }, headers);
    await refused(other, 400, { type: 'idempotency_error' });
  });
});

describe('a held line', () => {
  it('that outlasts its patience has its status already, and the answer follows white space', async () => {
    const gate = held();
    openai(gate.answer);
    const call = app({ commitAfterMs: 0, beatMs: 5 });
    const response = await call(GENERATIONS, { model: 'gpt-image-1', prompt: 'late' });
    expect(response.headers.get('x-foreman-request-id')).toMatch(/^req_/);
    gate.open();
    const text = await response.text();
    expect(text).toMatch(/^ +\{"created"/);
    expect(JSON.parse(text)).toMatchObject({ foreman: { provider: 'openai' } });
  });

  it('that fails late is broken off, and its repetition has the true status', async () => {
    const call = app({ commitAfterMs: 0, beatMs: 5 });
    const body = { ...small, model: 'chaos-refuse-input' };
    const headers = {
      authorization: `Bearer ${client.key}`,
      'content-type': 'application/json',
      'idempotency-key': crypto.randomUUID(),
    };
    const response = await call(GENERATIONS, body, { headers });
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow();
    await refused(await generate(body, headers), 400, { code: 'moderation_blocked' });
  });

  it('that is held for too long says that the request goes on, and may be tried again', async () => {
    const gate = held();
    openai(gate.answer);
    const headers = {
      authorization: `Bearer ${client.key}`,
      'content-type': 'application/json',
      'idempotency-key': crypto.randomUUID(),
    };
    const asked = { model: 'gpt-image-1', prompt: 'slower' };
    const response = await app({ holdMs: 1 })(GENERATIONS, asked, { headers });
    expect(response.headers.get('x-should-retry')).toBeNull();
    await refused(response, 504, { type: 'server_error', code: 'timeout' });
    gate.open();
    const { foreman } = await made(await generate(asked, headers));
    expect(response.headers.get('x-foreman-request-id')).toBe(foreman.request_id);
  });

  it('that a client hangs up is let go, and the request goes on', async () => {
    const gate = held();
    openai(gate.answer);
    const hangingUp = new AbortController();
    const headers = {
      authorization: `Bearer ${client.key}`,
      'content-type': 'application/json',
      'idempotency-key': crypto.randomUUID(),
    };
    const asked = { model: 'gpt-image-1', prompt: 'gone' };
    const answer = app({})(GENERATIONS, asked, { headers, signal: hangingUp.signal });
    const id = await until(async () => {
      const live = (await client.list()).find(({ input }) => input.prompt === 'gone');
      return live?.id ?? expect.fail('not there yet');
    });
    hangingUp.abort();
    await answer.catch(() => {});
    gate.open();
    expect((await client.reached(id)).status).toBe('succeeded');
    expect((await made(await generate(asked, headers))).foreman.request_id).toBe(id);
  });

  it('that a client takes no more of is let go, and the request goes on', async () => {
    const gate = held();
    openai(gate.answer);
    const call = app({ commitAfterMs: 0, stallMs: 5 });
    const response = await call(GENERATIONS, { model: 'gpt-image-1', prompt: 'untaken' });
    const id = response.headers.get('x-foreman-request-id') ?? '';
    const watched = (times: number) =>
      until(async () => {
        const sockets = await client.sql((_, state) => state.getWebSockets(id).length);
        expect(sockets).toBe(times);
      });
    await watched(1);
    await response.body?.getReader().read();
    await watched(0);
    gate.open();
    expect((await client.reached(id)).status).toBe('succeeded');
  });
});

const PNG =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

/** As OpenAI streams: an interim image, then the image. */
const streamedImage = () => {
  const common = { b64_json: PNG, created_at: 1, size: '1024x1024', quality: 'low' };
  const made = { ...common, background: 'opaque', output_format: 'png' };
  const events = [
    { type: 'image_generation.partial_image', partial_image_index: 0, ...made },
    { type: 'image_generation.completed', ...made },
  ];
  const text = events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
  return new Response(text.join(''), { headers: { 'content-type': 'text/event-stream' } });
};

describe('a stream', () => {
  const eventsOf = (text: string) =>
    text
      .split('\n\n')
      .filter((event) => event.startsWith('event: '))
      .map((event) => {
        const [, name, data = ''] = /^event: (\S+)\ndata: (.*)$/.exec(event) ?? [];
        return [name, JSON.parse(data) as Record<string, unknown>] as const;
      });

  it('has one completed event for each image, with OpenAI’s members', async () => {
    const response = await generate({ ...small, n: 2, stream: true });
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
    const id = response.headers.get('x-foreman-request-id');
    const events = eventsOf(await response.text());
    expect(events.map(([name]) => name)).toEqual(Array(2).fill('image_generation.completed'));
    for (const [name, event] of events) {
      expect(event).toMatchObject({
        type: name,
        background: 'auto',
        quality: 'auto',
        output_format: 'png',
        size: '64x64',
        foreman: { request_id: id },
      });
      expect(event.created_at).toBeTypeOf('number');
      expect(event.b64_json).toMatch(/^iVBOR/);
    }
  });

  it('ends with an error where no image comes', async () => {
    const response = await generate({ ...small, model: 'chaos-refuse-input', stream: true });
    expect(eventsOf(await response.text())).toMatchObject([
      ['error', { type: 'error', error: { code: 'moderation_blocked' } }],
    ]);
  });

  it('is alive while nothing happens, and has interim images as they come', async () => {
    const gate = held(streamedImage);
    openai(gate.answer);
    const response = await app({ beatMs: 5 })(GENERATIONS, {
      model: 'gpt-image-1',
      prompt: 'a slow boat',
      size: '1024x1024',
      quality: 'low',
      stream: true,
      partial_images: 1,
    });
    const reader = response.body?.getReader() ?? expect.fail('no body');
    for (let beats = 0; beats < 3; beats += 1) {
      expect(new TextDecoder().decode((await reader.read()).value)).toBe(': waiting\n\n');
    }
    gate.open();
    let rest = '';
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      rest += new TextDecoder().decode(part.value);
    }
    const [partial, completed, ...others] = eventsOf(rest);
    expect(partial).toEqual([
      'image_generation.partial_image',
      {
        type: 'image_generation.partial_image',
        b64_json: PNG,
        partial_image_index: 0,
        created_at: expect.any(Number),
        size: '1024x1024',
        quality: 'low',
        background: 'auto',
        output_format: 'png',
      },
    ]);
    expect(completed).toMatchObject(['image_generation.completed', { b64_json: PNG }]);
    expect(others).toEqual([]);
  });
});

describe('an edit', () => {
  const png = async (size = '64x64') => {
    const asked = { ...small, size, response_format: 'b64_json' };
    const { data } = await made(await generate(asked));
    const bytes = Buffer.from(data[0]?.b64_json ?? '', 'base64');
    return new File([bytes], 'a.png', { type: 'image/png' });
  };
  const edit = (
    fields: readonly (readonly [string, string | File])[],
    headers: Record<string, string> = {},
  ) => {
    const body = new FormData();
    for (const [name, value] of fields) {
      if (typeof value === 'string') body.append(name, value);
      else body.append(name, value, value.name);
    }
    const authorization = `Bearer ${client.key}`;
    return exports.default.fetch(ORIGIN + EDITS, {
      method: 'POST',
      headers: { authorization, ...headers },
      body,
    });
  };
  const model = ['model', 'gpt-image-1'] as const;
  const prompt = ['prompt', 'a hat'] as const;

  it('hands on the image, the mask and what is said of them', async () => {
    const calls = openai(image);
    const file = await png();
    const fields = [model, prompt, ['n', '1'], ['input_fidelity', 'high']] as const;
    const answer = await edit([...fields, ['image[]', file], ['mask', file]]);
    const body = await made(answer);
    expect(body.data[0]?.b64_json).toMatch(/^iVBOR/);
    const form = (await calls[0]?.form()) ?? expect.fail('no call');
    expect([...form.keys()].sort()).toEqual(
      expect.arrayContaining(['image', 'input_fidelity', 'mask', 'model', 'prompt']),
    );
    const { input } = await client.get(body.foreman.request_id);
    expect([input.image, input.mask]).toEqual([expect.stringMatching(/^img_/), input.image]);
  });

  it('with another image is another call, and with the same bytes the same', async () => {
    const calls = openai(image);
    const [one, other] = [await png(), await png('128x64')];
    const counting = (times: number) => ({ 'x-stainless-retry-count': String(times) });
    const fields = [model, prompt] as const;
    const first = await made(await edit([...fields, ['image', one]], counting(0)));
    const same = await made(await edit([...fields, ['image', one]], counting(1)));
    const different = await made(await edit([...fields, ['image', other]], counting(1)));
    expect(same.foreman).toEqual(first.foreman);
    expect(different.foreman.request_id).not.toBe(first.foreman.request_id);
    expect(calls).toHaveLength(2);
  });

  it.each<[string, (file: File) => readonly (readonly [string, string | File])[], number, object]>([
    ['no image', () => [prompt], 400, { code: 'missing_required_parameter', param: 'image' }],
    [
      'two images',
      (file) => [prompt, ['image[]', file], ['image[]', file]],
      400,
      { param: 'image' },
    ],
    ['text for an image', () => [prompt, ['image', 'x']], 400, { param: 'image' }],
    [
      'a foreign field',
      (file) => [prompt, ['image', file], ['seed', '1']],
      400,
      { code: 'unknown_parameter', param: 'seed' },
    ],
    [
      'no picture',
      () => [prompt, ['image', new File(['text'], 'a.png')]],
      400,
      { code: 'invalid_value', param: 'image' },
    ],
  ])('with %s is refused', async (_, fields, status, error) => {
    const file = new File([new Uint8Array(4)], 'a.png');
    await refused(await edit(fields(file)), status, error);
  });

  it('that is too large is refused, and no more of it thrown away than is bearable', async () => {
    let given = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        given += 1_048_576;
        controller.enqueue(new Uint8Array(1_048_576));
      },
    });
    const send = (body: BodyInit, type: string) =>
      exports.default.fetch(ORIGIN + EDITS, {
        method: 'POST',
        headers: { authorization: `Bearer ${client.key}`, 'content-type': type },
        body,
      });
    const type = 'multipart/form-data; boundary=x';
    await refused(await send(endless, type), 413, { code: 'payload_too_large' });
    expect(given).toBeLessThan((25 + 64 + 8) * 1_048_576);
    await refused(await send('{}', 'application/json'), 415, { code: 'unsupported_media_type' });
    await refused(await send('no form', type), 400, { type: 'invalid_request_error' });
  });
});

describe('the document', () => {
  it.each([
    [GENERATIONS, 'application/json', ['prompt'], 'moderation'],
    [EDITS, 'multipart/form-data', ['prompt', 'image'], 'input_fidelity'],
  ])('has what %s takes', async (path, type, required, own) => {
    interface Body {
      readonly content: Record<string, { schema: { required: string[]; properties: object } }>;
    }
    const { paths } = await (await http('GET', '/openapi.json')).json<{
      paths: Record<string, { post: { requestBody: Body } }>;
    }>();
    const schema = paths[path]?.post.requestBody.content[type]?.schema;
    expect(schema?.required.sort()).toEqual(required.sort());
    expect(schema?.properties).toMatchObject({
      [own]: { enum: expect.any(Array) },
      n: { type: 'integer', minimum: 1, maximum: 8 },
    });
    expect(schema?.properties).not.toHaveProperty('svg');
  });
});

describe('the models', () => {
  it('are those that are available now', async () => {
    const response = await client.call('GET', '/openai/v1/models');
    const { object, data } = await response.json<{ object: string; data: { id: string }[] }>();
    expect(object).toBe('list');
    expect(data).toContainEqual({
      id: 'gpt-image-1',
      object: 'model',
      created: 0,
      owned_by: 'openai',
    });
    expect(data.map(({ id }) => id)).not.toContain('stable-image-core');
    const one = await client.call('GET', '/openai/v1/models/sketch');
    expect(await one.json()).toEqual({
      id: 'sketch',
      object: 'model',
      created: 0,
      owned_by: 'sketch',
    });
  });

  it.each(['stable-image-core', 'nothing'])('%s is none of them', async (id) => {
    const response = await client.call('GET', `/openai/v1/models/${id}`);
    await refused(response, 404, { code: 'model_not_found', param: 'model' });
  });
});

describe('whatever else is asked for under /openai', () => {
  it.each<[string, string, number, object]>([
    ['POST', '/openai/v1/images/variations', 400, { code: 'unsupported_endpoint' }],
    ['POST', '/openai/v1/chat/completions', 404, { code: 'not_found' }],
    ['GET', '/openai', 404, { code: 'not_found' }],
    ['DELETE', '/openai/v1/models', 405, { code: 'method_not_supported' }],
  ])('%s %s is refused in the same shape', async (method, path, status, error) => {
    await refused(await client.call(method, path), status, error);
  });

  it('is refused in it when a header or the body is faulty', async () => {
    const faulty = await client.call('GET', '/openai/v1/models', {
      headers: { 'x-request-id': 'a b' },
    });
    expect([faulty.status, await faulty.json()]).toMatchObject([
      400,
      { error: { code: 'invalid_header' } },
    ]);
    const send = (body: string, type: string) =>
      exports.default.fetch(ORIGIN + GENERATIONS, {
        method: 'POST',
        headers: { authorization: `Bearer ${client.key}`, 'content-type': type },
        body,
      });
    await refused(await send('{', 'application/json'), 400, { type: 'invalid_request_error' });
    await refused(await send('[]', 'application/json'), 400, { type: 'invalid_request_error' });
    await refused(await send('x', 'text/plain'), 415, { code: 'unsupported_media_type' });
  });
});
