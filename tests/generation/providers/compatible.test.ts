import { describe, expect, it } from 'vitest';
import { compatible, createCompatibleProvider } from '../../../src/generation/providers/compatible';
import type { ProviderJob } from '../../../src/generation/providers/provider';
import { bytesOf } from '../../support/provider-images';
import { contextWith, jobWith } from '../../support/provider-jobs';
import { type Script, scriptedFetch } from '../../support/scripted-fetch';

const BASE_URL = 'https://images.test/v1';
const GENERATIONS = `POST ${BASE_URL}/images/generations`;
const EDITS = `POST ${BASE_URL}/images/edits`;
const OWN = 'https://images.test/generated-images/a.png';
const FOREIGN = 'https://cdn.test/b.png';
const KEY = 'sk-local-0123456789';

const picture = new Uint8Array([137, 80, 78, 71, 1, 2, 3]);
const base64 = btoa(String.fromCharCode(...picture));
const image = { bytes: new Uint8Array([1, 2, 3]), mediaType: 'image/png' };

const good = () => Response.json({ created: 1, data: [{ b64_json: base64 }] });

async function generate(
  script: Script,
  job: Partial<ProviderJob> = {},
  { apiKey = KEY }: { apiKey?: string | null } = {},
) {
  const scripted = scriptedFetch({
    [GENERATIONS]: script,
    [EDITS]: script,
    [`GET ${OWN}`]: () => new Response(picture),
  });
  const opened: string[] = [];
  const provider = createCompatibleProvider(
    { apiKey, baseUrl: BASE_URL },
    {
      fetch: scripted.fetch,
      openImage: async (url) => {
        opened.push(url);
        return { body: new Blob([picture]).stream(), length: null };
      },
    },
  );
  const answer = await provider.generate(jobWith({ model: 'flux', ...job }), contextWith());
  expect(scripted.unlisted).toEqual([]);
  expect(scripted.calls).toHaveLength(1);
  return { answer, calls: scripted.calls, opened };
}

const imagesOf = ({ answer }: Awaited<ReturnType<typeof generate>>) => {
  if (answer.outcome !== 'succeeded') throw new Error(JSON.stringify(answer));
  return answer.images;
};

describe('what is sent to a compatible server', () => {
  const base = { model: 'flux', prompt: 'a lighthouse at dusk', n: 1, response_format: 'b64_json' };
  const openAi = (model: string) => ({ model, prompt: 'a lighthouse at dusk', n: 1 });
  const diffusion = { seed: 0, steps: 4, guidanceScale: 3.5, negativePrompt: 'fog' };
  const unknownToOpenAi = ['negative_prompt', 'seed', 'steps', 'guidance_scale'];
  const bodies: [name: string, job: Partial<ProviderJob>, body: object, ignored: string[]][] = [
    ['a bare prompt', {}, base, []],
    [
      'a size and a count',
      { n: 3, size: { width: 512, height: 768 } },
      { ...base, n: 3, size: '512x768' },
      [],
    ],
    [
      'what diffusion models are told, by the names such servers share',
      diffusion,
      {
        ...base,
        seed: 0,
        num_inference_steps: 4,
        guidance_scale: 3.5,
        negative_prompt: 'fog',
      },
      [],
    ],
    [
      'none of that to a model of OpenAI behind a gateway, which answers in base64 unasked',
      { model: 'openai/gpt-image-1', outputFormat: 'webp', ...diffusion },
      { ...openAi('openai/gpt-image-1'), output_format: 'webp' },
      unknownToOpenAi,
    ],
    [
      'no output format to DALL·E',
      { model: 'azure/dall-e-3', outputFormat: 'webp' },
      { ...openAi('azure/dall-e-3'), response_format: 'b64_json' },
      ['output_format'],
    ],
    ['an output format', { outputFormat: 'jpeg' }, { ...base, output_format: 'jpeg' }, []],
    [
      'no aspect ratio and no strength',
      { aspectRatio: '16:9', strength: 0.5 },
      base,
      ['strength', 'aspect_ratio'],
    ],
    [
      "the client's options, as they are",
      { options: { true_cfg_scale: 4, mode: null } },
      { ...base, true_cfg_scale: 4, mode: null },
      [],
    ],
    [
      'none of the options that decide what is paid for and how it is answered',
      { options: { n: 4, size: '4096x4096', response_format: 'url', stream: true } },
      base,
      ['n', 'size', 'response_format', 'stream'].map(
        (name) => `provider_options.compatible.${name}`,
      ),
    ],
  ];
  it.each(bodies)('is %s', async (_name, job, body, ignored) => {
    const { answer, calls } = await generate(good, job);
    expect(`${calls[0]?.method} ${calls[0]?.url}`).toBe(GENERATIONS);
    expect(calls[0]?.json()).toEqual(body);
    expect(answer).toMatchObject({
      outcome: 'succeeded',
      warnings: ignored.map((field) => `compatible ignores ${field}`),
    });
  });

  it('is a form for an input image with its mask', async () => {
    const { calls } = await generate(good, { image, mask: image, seed: 7 });
    expect(`${calls[0]?.method} ${calls[0]?.url}`).toBe(EDITS);
    const entries = [...((await calls[0]?.form())?.entries() ?? [])];
    const fields = entries.map(([name, value]) => [
      name,
      typeof value === 'string' ? value : value.size,
    ]);
    expect(Object.fromEntries(fields)).toEqual({
      model: 'flux',
      prompt: 'a lighthouse at dusk',
      image: 3,
      mask: 3,
      n: '1',
      seed: '7',
      response_format: 'b64_json',
    });
  });

  const keys: [name: string, apiKey: string | null, authorization: string | null][] = [
    ['the key', KEY, `Bearer ${KEY}`],
    ['no authorization without one', null, null],
  ];
  it.each(keys)('carries %s', async (_name, apiKey, authorization) => {
    const { calls } = await generate(good, {}, { apiKey });
    expect(calls[0]?.headers.get('authorization')).toBe(authorization);
    expect(calls[0]?.headers.get('x-correlation-id')).toBe('corr-1');
  });
});

describe('an answer with images', () => {
  const dataUrl = `data:image/png;base64,${base64}`;
  const shapes: [name: string, body: object][] = [
    ['base64', { created: 1, data: [{ b64_json: base64 }] }],
    ['nothing but data', { data: [{ b64_json: base64 }] }],
    ['a data URL in url', { data: [{ url: dataUrl }] }],
    ['a data URL in b64_json', { data: [{ b64_json: dataUrl }] }],
    ['a URL in b64_json', { data: [{ b64_json: FOREIGN }] }],
    ['strings in data', { data: [base64] }],
    ['images in the place of data', { images: [{ url: FOREIGN }] }],
    ['an empty slot beside the image', { data: [{ b64_json: null }, { b64_json: base64 }] }],
    ['more images than asked for', { data: [{ b64_json: base64 }, { b64_json: base64 }] }],
    ['a URL beside an empty field', { data: [{ url: FOREIGN, b64_json: null }] }],
    ['a URL on the same network', { data: [{ url: 'http://10.0.0.7:9000/a.png' }] }],
  ];
  it.each(shapes)('is understood with %s', async (_name, body) => {
    const images = imagesOf(await generate(() => Response.json(body)));
    expect(await Promise.all(images.map(bytesOf))).toEqual([picture]);
  });

  const places = { data: [{ url: OWN }, { url: FOREIGN }, { b64_json: base64 }] };

  it('by URL is downloaded by nobody before it is wanted', async () => {
    const run = await generate(() => Response.json(places), { n: 3 });
    expect(imagesOf(run).map((each) => 'open' in each)).toEqual([true, true, false]);
    expect(run.opened).toEqual([]);
    expect(run.calls.map(({ method }) => method)).toEqual(['POST']);
  });

  it('on the server itself is opened with its key, and elsewhere by the function for foreign URLs', async () => {
    const run = await generate(() => Response.json(places), { n: 3 });
    const pictures = await Promise.all(imagesOf(run).map(bytesOf));
    expect(pictures).toEqual([picture, picture, picture]);
    expect(run.opened).toEqual([FOREIGN]);
    expect(run.calls.map(({ method, url }) => `${method} ${url}`)).toEqual([
      GENERATIONS,
      `GET ${OWN}`,
    ]);
    expect(run.calls[1]?.headers.get('authorization')).toBe(`Bearer ${KEY}`);
  });
});

describe('an answer without images has one outcome', () => {
  const rejected = (kind: string, message: string) => ({
    outcome: 'rejected',
    error: { message, details: { kind } },
  });
  const invalid = { outcome: 'failed', error: { code: 'invalid_output' }, possiblyBilled: true };
  const litellm = 'litellm.BadRequestError: litellm.ContentPolicyViolationError: blocked';
  const ends: [name: string, body: unknown, status: number, expected: object][] = [
    ['empty data', { data: [] }, 200, invalid],
    ['an item without an image', { data: [{ revised_prompt: 'x' }] }, 200, invalid],
    ['something else', { choices: [] }, 200, invalid],
    [
      "LiteLLM's refusal",
      { error: { message: litellm, code: '400' } },
      400,
      { outcome: 'refused' },
    ],
    [
      "FastAPI's faults",
      { detail: [{ loc: ['body'], msg: 'size is odd', type: 'value_error' }] },
      422,
      rejected('parameter', 'size is odd'),
    ],
    [
      "LocalAI's fault",
      { error: { code: 500, message: 'no GPU', type: '' } },
      500,
      {
        outcome: 'failed',
        error: { message: 'no GPU' },
      },
    ],
    ['a bad key', { error: 'nope' }, 401, rejected('auth', 'nope')],
    ['too many calls', {}, 429, { outcome: 'throttled' }],
  ];
  it.each(ends)('with %s', async (_name, body, status, expected) => {
    const { answer } = await generate(() => Response.json(body, { status }));
    expect(answer).toMatchObject(expected);
  });
});

describe('the settings of a compatible server', () => {
  const cases: [name: string, env: object, expected: object | null][] = [
    ['off without an address', { COMPATIBLE_API_KEY: 'k' }, null],
    [
      'on with one, key or no key',
      { COMPATIBLE_BASE_URL: 'http://localhost:8080/v1/' },
      { apiKey: null, baseUrl: 'http://localhost:8080/v1' },
    ],
    [
      'on with both',
      { COMPATIBLE_BASE_URL: 'https://images.test/v1', COMPATIBLE_API_KEY: 'k' },
      { apiKey: 'k', baseUrl: 'https://images.test/v1' },
    ],
  ];
  it.each(cases)('turn it %s', (_name, env, expected) => {
    expect(compatible.settings.parse(env)).toEqual(expected);
  });
});
