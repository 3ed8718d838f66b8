// The binding exists in Cloudflare's network alone: a local one needs an account and speaks to that
// network. So there is no socket to test over, and a stand-in answers here with the shapes and the
// errors of the real one.
import { describe, expect, it } from 'vitest';
import type { CallContext, ProviderJob } from '../../../src/generation/providers/provider';
import {
  type AiBinding,
  createWorkersAiProvider,
  workersAi,
} from '../../../src/generation/providers/workers-ai';
import { contextWith, jobWith } from '../../support/provider-jobs';

const FLUX_1 = '@cf/black-forest-labs/flux-1-schnell';
const FLUX_2 = '@cf/black-forest-labs/flux-2-dev';
const KLEIN = '@cf/black-forest-labs/flux-2-klein-4b';
const LUCID = '@cf/leonardo/lucid-origin';
const PHOENIX = '@cf/leonardo/phoenix-1.0';
const SDXL = '@cf/stabilityai/stable-diffusion-xl-base-1.0';
const IMG2IMG = '@cf/runwayml/stable-diffusion-v1-5-img2img';
const INPAINTING = '@cf/runwayml/stable-diffusion-v1-5-inpainting';

const picture = new Uint8Array([137, 80, 78, 71, 1, 2, 3]);
const base64 = btoa(String.fromCharCode(...picture));
const file = { bytes: new Uint8Array([1, 2, 3]), mediaType: 'image/png' };
const mask = { bytes: new Uint8Array([4, 255]), mediaType: 'image/png' };

interface Run {
  readonly model: string;
  readonly inputs: Readonly<Record<string, unknown>>;
  readonly signal: AbortSignal;
}

async function generate(
  answer: (run: Run) => unknown,
  job: Partial<ProviderJob> = {},
  context: Partial<CallContext> = {},
) {
  const runs: Run[] = [];
  const ai: AiBinding = {
    run: async (model, inputs, { signal }) => {
      const run = { model, inputs, signal };
      runs.push(run);
      return answer(run);
    },
  };
  const provider = createWorkersAiProvider(
    { ai },
    { openImage: () => Promise.reject(new Error('no URL is expected')) },
  );
  const outcome = await provider.generate(jobWith({ model: FLUX_1, ...job }), contextWith(context));
  return { outcome, runs };
}

const good = () => ({ image: base64 });
const throwing = (message: string) => () => {
  throw new Error(message);
};

const prompt = 'a lighthouse at dusk';
const everything: Partial<ProviderJob> = {
  size: { width: 768, height: 512 },
  negativePrompt: 'fog',
  seed: 42,
  steps: 6,
  guidanceScale: 7.5,
};

describe('what is asked of a model', () => {
  const inputs: [name: string, job: Partial<ProviderJob>, inputs: object, warnings: string[]][] = [
    ['a bare prompt', { model: FLUX_1 }, { prompt }, []],
    [
      'flux-1, which has one size and no negative prompt',
      { model: FLUX_1, ...everything },
      { prompt, seed: 42, steps: 6 },
      [
        'workers-ai ignores negative_prompt',
        'workers-ai ignores size',
        'workers-ai ignores guidance_scale',
      ],
    ],
    [
      'lucid, which has no negative prompt',
      { model: LUCID, ...everything },
      { prompt, width: 768, height: 512, seed: 42, guidance: 7.5, num_steps: 6 },
      ['workers-ai ignores negative_prompt'],
    ],
    [
      'phoenix',
      { model: PHOENIX, ...everything },
      {
        prompt,
        width: 768,
        height: 512,
        seed: 42,
        guidance: 7.5,
        num_steps: 6,
        negative_prompt: 'fog',
      },
      [],
    ],
    [
      'stable diffusion',
      { model: SDXL, ...everything },
      {
        prompt,
        width: 768,
        height: 512,
        negative_prompt: 'fog',
        seed: 42,
        guidance: 7.5,
        num_steps: 6,
      },
      [],
    ],
    [
      'an image and its strength',
      { model: IMG2IMG, image: file, strength: 0.6 },
      { prompt, image_b64: 'AQID', strength: 0.6 },
      [],
    ],
    [
      'an image and a mask, which goes as numbers',
      { model: INPAINTING, image: file, mask },
      { prompt, image_b64: 'AQID', mask: [4, 255] },
      [],
    ],
    [
      'an image for a model that takes none',
      { model: SDXL, image: file, mask, strength: 0.5 },
      { prompt },
      ['workers-ai ignores image', 'workers-ai ignores mask', 'workers-ai ignores strength'],
    ],
    ['the format that it makes anyway', { model: FLUX_1, outputFormat: 'jpeg' }, { prompt }, []],
    [
      'another format',
      { model: FLUX_1, outputFormat: 'webp', aspectRatio: '3:2' },
      { prompt },
      ['workers-ai ignores aspect_ratio', 'workers-ai ignores output_format'],
    ],
    [
      "the client's options, but for those with a field of their own",
      { model: SDXL, options: { scheduler: 'ddim', num_steps: 20, stream: true } },
      { prompt, scheduler: 'ddim' },
      [
        'workers-ai ignores provider_options.workers-ai.num_steps',
        'workers-ai ignores provider_options.workers-ai.stream',
      ],
    ],
  ];
  it.each(inputs)('sends %s', async (_name, job, expected, warnings) => {
    const { outcome, runs } = await generate(good, job);
    expect(runs).toMatchObject([{ model: job.model }]);
    expect(runs[0]?.inputs).toEqual(expected);
    expect(outcome).toMatchObject({ outcome: 'succeeded', warnings });
  });

  async function formOf(run: Run | undefined): Promise<Record<string, unknown>> {
    const multipart = Object(run?.inputs.multipart);
    expect(multipart.body).toBeInstanceOf(ReadableStream);
    const headers = { 'content-type': String(multipart.contentType) };
    const form = await new Response(multipart.body, { headers }).formData();
    const entries = [...form].map(async ([name, value]) => [
      name,
      value instanceof File ? [...new Uint8Array(await value.arrayBuffer())] : value,
    ]);
    return Object.fromEntries(await Promise.all(entries));
  }

  const forms: [name: string, job: Partial<ProviderJob>, fields: object, warnings: string[]][] = [
    ['a bare prompt', { model: FLUX_2 }, { prompt }, []],
    [
      'an image and all that goes with it',
      { model: FLUX_2, ...everything, negativePrompt: null, image: file, options: { a: { b: 1 } } },
      {
        prompt,
        width: '768',
        height: '512',
        seed: '42',
        guidance: '7.5',
        steps: '6',
        a: '{"b":1}',
        input_image_0: [1, 2, 3],
      },
      [],
    ],
    [
      'klein without steps, which are fixed',
      { model: KLEIN, steps: 6 },
      { prompt },
      ['workers-ai ignores steps'],
    ],
  ];
  it.each(forms)('sends flux-2 a form: %s', async (_name, job, fields, warnings) => {
    const { outcome, runs } = await generate(async (run) => {
      expect(await formOf(run)).toEqual(fields);
      return { image: base64 };
    }, job);
    expect(runs).toHaveLength(1);
    expect(outcome).toMatchObject({ outcome: 'succeeded', warnings });
  });
});

describe('what comes back', () => {
  const shapes: [name: string, output: () => unknown][] = [
    ['an object with base64', () => ({ image: base64 })],
    ['an object with bytes', () => ({ image: picture })],
    ['base64', () => base64],
    ['a data URL', () => `data:image/jpeg;base64,${base64}`],
    ['a stream', () => new Response(picture).body],
    ['bytes', () => picture],
    ['a buffer', () => picture.slice().buffer],
    ['a response with bytes', () => new Response(picture)],
    ['a response with JSON', () => Response.json({ image: base64 })],
  ];
  it.each(shapes)('%s is a picture', async (_name, output) => {
    const { outcome } = await generate(output);
    expect(outcome).toEqual({
      outcome: 'succeeded',
      images: [{ bytes: picture, seed: null }],
      costMicros: null,
      providerRequestId: null,
      warnings: [],
    });
  });

  const pictureless: [name: string, output: unknown][] = [
    ['nothing', undefined],
    ['an object without a picture', { response: 'a poem' }],
    ['an empty string', { image: '' }],
    ['no base64', { image: '§§§' }],
    ['no bytes', new Uint8Array(0)],
  ];
  it.each(pictureless)('%s is no success', async (_name, output) => {
    expect((await generate(() => output)).outcome).toMatchObject({
      outcome: 'failed',
      error: { code: 'invalid_output' },
      possiblyBilled: true,
    });
  });

  it('a stream that breaks off leaves the end unknown', async () => {
    const broken = new ReadableStream({
      pull: (controller) => controller.error(new Error('Network connection lost.')),
    });
    expect((await generate(() => broken)).outcome).toMatchObject({
      outcome: 'unknown',
      error: { code: 'connection_lost' },
      possiblyBilled: true,
    });
  });
});

describe('what a thrown error means', () => {
  const rejected = (kind: string, code: string | null = null) => ({
    outcome: 'rejected',
    error: { details: { kind }, ...(code ? { code } : {}) },
    possiblyBilled: false,
  });
  const throttled = { outcome: 'throttled', possiblyBilled: false };
  const unknown = { outcome: 'unknown', possiblyBilled: true };
  const errors: [message: string, expected: object][] = [
    ['5007: No such model @cf/x/y or task', rejected('not_found', '5007')],
    ['InferenceUpstreamError: 3042: The model name is invalid', rejected('not_found', '3042')],
    ['5004: Invalid data type for base64 input: undefined', rejected('parameter', '5004')],
    ['AiError: 5006: Error: oneOf at "/" not met', rejected('parameter', '5006')],
    ['3006: Request is too large', rejected('parameter', '3006')],
    ['5018: The account is not allowed to access this model', rejected('auth', '5018')],
    ['3023: Service unavailable for account', rejected('auth', '3023')],
    ['3036: You have used up your daily free allocation', rejected('payment', '3036')],
    ['4006: you have used up your daily free allocation', rejected('payment', '4006')],
    ['5035: Model requires Workers Paid', rejected('payment', '5035')],
    [
      '3040: Capacity temporarily exceeded, please try again.',
      { ...throttled, error: { code: '3040' } },
    ],
    ['InferenceUpstreamError: 3040: Capacity temporarily exceeded', throttled],
    ['ERROR 3040: Capacity temporarily exceeded', throttled],
    ['Too many requests', throttled],
    ['AiError: 3046: Request timeout', { ...unknown, error: { code: 'timeout' } }],
    ['3007: Request timeout', { ...unknown, error: { code: 'timeout' } }],
    ['Network connection lost.', { ...unknown, error: { code: 'connection_lost' } }],
    ['8005: Internal server error', { outcome: 'failed', error: { code: '8005' } }],
    [
      'InferenceUpstreamError: it must be <= 1024. Given: 3036',
      { outcome: 'failed', error: { code: 'server_error' } },
    ],
  ];
  it.each(errors)('“%s” is judged by its number and its words', async (message, expected) => {
    expect((await generate(throwing(message))).outcome).toMatchObject(expected);
  });

  const flagged: [message: string, stage: string, code: string | null][] = [
    ['AiError: Input prompt contains NSFW content (code 3030)', 'input', '3030'],
    ['AiError: AiError: Input prompt contains NSFW content.', 'input', null],
    [
      '3030: Your output has been flagged. Please choose another prompt / input image combination',
      'output',
      '3030',
    ],
  ];
  it.each(flagged)('“%s” is a refusal', async (message, stage, code) => {
    expect((await generate(throwing(message))).outcome).toMatchObject({
      outcome: 'refused',
      error: {
        code: code ?? 'content_refused',
        details: {
          moderation: {
            stage,
            categories: [],
            provider: 'workers-ai',
            provider_code: code,
            account_level: false,
          },
        },
      },
      possiblyBilled: stage === 'output',
    });
  });

  it('the prompt is not repeated, and what is no error is told as it is', async () => {
    const { outcome } = await generate(() => Promise.reject(`no ${prompt} today`));
    expect(outcome).toMatchObject({ outcome: 'failed', error: { message: 'no [prompt] today' } });
  });
});

describe('the signal', () => {
  const moments: [name: string, abort: (controller: AbortController) => void][] = [
    ['at once', (controller) => controller.abort()],
    ['later', (controller) => setTimeout(() => controller.abort(), 1)],
  ];
  it.each(moments)(
    '%s: reaches the binding, and ends a call that does not heed it',
    async (_name, abort) => {
      const controller = new AbortController();
      const { outcome, runs } = await generate(
        () => {
          abort(controller);
          return new Promise(() => {});
        },
        {},
        { signal: controller.signal },
      );
      expect(runs).toMatchObject([{ signal: controller.signal }]);
      expect(outcome).toMatchObject({
        outcome: 'unknown',
        error: { code: 'timeout' },
        possiblyBilled: true,
      });
    },
  );

  it('means that nothing was sent when it came first', async () => {
    const { outcome, runs } = await generate(good, {}, { signal: AbortSignal.abort() });
    expect(outcome).toMatchObject({ outcome: 'not_sent', error: { code: 'timeout' } });
    expect(runs).toEqual([]);
  });
});

describe('settings', () => {
  it('the binding turns it on', () => {
    const ai: AiBinding = { run: async () => ({}) };
    expect(workersAi.settings.parse({ AI: ai })?.ai).toBe(ai);
    expect(workersAi.settings.parse({})).toBeNull();
  });

  it('what is no binding is refused', () => {
    expect(workersAi.settings.safeParse({ AI: 'true' }).error?.issues).toMatchObject([
      { path: ['AI'], message: 'must be a Workers AI binding' },
    ]);
  });
});
