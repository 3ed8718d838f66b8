import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { createApp } from '../../src/app';
import { candidatesFor } from '../../src/generation/candidates';
import { nameOf } from '../../src/generation/catalog';
import { modelCatalogSetting } from '../../src/generation/model-catalog';
import { builtInModels } from '../../src/generation/models';
import type { ModelView } from '../../src/generation/models-view';
import {
  createProviders,
  providerNames,
  readProviderSettings,
} from '../../src/generation/providers/registry';
import { readGenerationSettings } from '../../src/generation/settings';
import type { GenerationInput } from '../../src/generation/types';
import { createServices } from '../../src/services';
import { newClient, useWorld } from '../journeys/support';
import { catalogOf, inputOf } from '../support/catalog';

const target = { provider: 'openai', model: 'mine-1' };
const one = (fields: object = {}) => ({
  models: [{ id: 'mine', targets: [{ ...target, ...fields }] }],
});
const read = (MODEL_CATALOG: unknown) =>
  readGenerationSettings({
    ...env,
    CHAOS_MODELS: 'false',
    MODEL_CATALOG:
      typeof MODEL_CATALOG === 'string' ? MODEL_CATALOG : JSON.stringify(MODEL_CATALOG),
  }).catalog;
const idsOf = (catalog: unknown) => read(catalog).models.map(({ id }) => id);
const known = builtInModels.map(({ id }) => id);

describe('the known models', () => {
  it('have ids of their own, and describe each target in one way', () => {
    expect(new Set(known).size).toBe(known.length);
    const described = new Map<string, unknown>();
    for (const target of builtInModels.flatMap(({ targets }) => targets)) {
      const earlier = described.get(nameOf(target)) ?? target;
      expect([nameOf(target), target]).toEqual([nameOf(target), earlier]);
      described.set(nameOf(target), target);
    }
  });

  it('each can make a square picture, or one of another', () => {
    const catalog = catalogOf(builtInModels);
    const square = inputOf({ aspect_ratio: '1:1' });
    const edit = inputOf({ image: 'img_1' });
    const inpainting = inputOf({ image: 'img_1', mask: 'img_2' });
    const canMake = (model: string) => (input: GenerationInput) =>
      candidatesFor(catalog, { model, input }).some(({ passedOver }) => passedOver === null);
    const unable = known.filter((model) => ![square, edit, inpainting].some(canMake(model)));
    expect(unable).toEqual([]);
  });
});

describe('MODEL_CATALOG', () => {
  it.each([
    ['is not set', ''],
    ['says nothing', {}],
    ['has empty lists', { models: [], remove: [] }],
  ])('leaves the known models alone when it %s', (_, catalog) => {
    expect(idsOf(catalog)).toEqual(known);
  });

  it('adds models after the known ones', () => {
    expect(idsOf(one())).toEqual([...known, 'mine']);
  });

  it('replaces a known model as a whole', () => {
    const catalog = read({ models: [{ id: 'dall-e-3', targets: [target] }] });
    expect(catalog.models).toHaveLength(known.length);
    expect(catalog.find('dall-e-3')?.targets).toMatchObject([target]);
  });

  it('removes models', () => {
    expect(idsOf({ remove: ['dall-e-3'] })).toEqual(known.filter((id) => id !== 'dall-e-3'));
    expect(read({ remove: ['dall-e-3'] }).find('dall-e-3')).toBeNull();
  });

  it('puts a model of one’s own in the place of one that it removes', () => {
    const catalog = { models: [{ id: 'sketch', targets: [target] }], remove: ['sketch'] };
    expect(read(catalog).find('sketch')?.targets).toMatchObject([target]);
  });

  it('may say what auto is, which stays the first', () => {
    const catalog = read({ models: [{ id: 'auto', targets: [target] }] });
    expect(catalog.models[0]).toMatchObject({ id: 'auto', targets: [target] });
    expect(catalog.models.filter(({ id }) => id === 'auto')).toHaveLength(1);
  });

  it('says what a target is in every model that has it', () => {
    const gpt = { provider: 'openai', model: 'gpt-image-1' };
    const price = [{ per: 'image', usd: 0.5 }];
    const own = read({ models: [{ id: 'mine', targets: [{ ...gpt, price, concurrency: 3 }] }] });
    expect(own.target(gpt)).toMatchObject({ price, concurrency: 3 });
    for (const id of ['auto', 'gpt-image-1']) {
      expect(own.find(id)?.targets[0]).toBe(own.target(gpt));
    }
  });

  it('gives a target what it leaves out', () => {
    expect(read(one()).find('mine')?.targets[0]).toEqual({
      ...target,
      price: [],
      repeatable: false,
      concurrency: null,
      timeoutMs: null,
      usualMs: 10_000,
      limits: {
        sizing: { by: 'pixels', step: 1, min: 64, max: 2048, maxPixels: 4_194_304 },
        maxImages: 1,
        maxPromptChars: null,
        maxSteps: null,
        formats: ['png', 'jpeg', 'webp'],
        inputImage: 'none',
        mask: false,
      },
    });
  });

  it('takes every fact of a target', () => {
    const facts = {
      price: [
        { per: 'image', usd: 0.01, by_quality: { high: 0.1 }, by_size: { '512x512': 0.5 } },
        {
          per: 'image',
          usd: 0.2,
          sizes: { '512x512': { usd: 0.1, by_quality: { low: 0.01 } } },
          up_to_pixels: 1_048_576,
        },
        { per: 'megapixel', usd: 0.002, round_up: true, pixels: 1_048_576 },
        { per: 'tile', usd: 0.001 },
        { per: 'step', usd: 0.0001, usual: 20 },
      ],
      max_images: 4,
      max_prompt_chars: 1_000,
      max_steps: 50,
      formats: ['webp'],
      input_image: 'required',
      mask: true,
      repeatable: true,
      concurrency: 2,
      timeout_seconds: 30,
      usual_seconds: 1.5,
    };
    expect(read(one(facts)).find('mine')?.targets[0]).toMatchObject({
      price: facts.price,
      repeatable: true,
      concurrency: 2,
      timeoutMs: 30_000,
      usualMs: 1_500,
      limits: {
        maxImages: 4,
        maxPromptChars: 1_000,
        maxSteps: 50,
        formats: ['webp'],
        inputImage: 'required',
        mask: true,
      },
    });
  });

  it.each([
    [{ sizes: ['512x512', '1024x768'] }, { by: 'list', sizes: ['512x512', '1024x768'] }],
    [{ aspect_ratios: ['1:1', '21:9'] }, { by: 'ratio', ratios: ['1:1', '21:9'], maxPixels: null }],
    [
      { aspect_ratios: ['1:1'], max_pixels: 9_000_000 },
      { by: 'ratio', ratios: ['1:1'], maxPixels: 9_000_000 },
    ],
    [
      { step: 8, min: 128, max: 1024, max_pixels: 786_432 },
      { by: 'pixels', step: 8, min: 128, max: 1024, maxPixels: 786_432 },
    ],
    [{}, { by: 'pixels', step: 1, min: 64, max: 2048, maxPixels: 4_194_304 }],
  ])('takes the sizing %o', (sizing, expected) => {
    expect(read(one({ sizing })).find('mine')?.targets[0]?.limits.sizing).toEqual(expected);
  });
});

describe('timeout_seconds', () => {
  const everySetting = new Proxy<Record<string, unknown>>(
    { CHAOS_MODELS: 'true', AI: { run: async () => null } },
    {
      has: () => true,
      get(given, name) {
        if (String(name) in given) return given[String(name)];
        if (/_URL$/.test(String(name))) return 'https://server.test';
        return /_(KEY|TOKEN|ID)$/.test(String(name)) ? 'x' : undefined;
      },
    },
  );
  const { providers } = readProviderSettings(everySetting);
  const create = createProviders(providers, {
    openImage: async () => Promise.reject(new Error('nothing is opened')),
    sleep: async () => {},
    now: () => 0,
  });
  const read = (provider: string, timeout_seconds: number) =>
    modelCatalogSetting.safeParse(JSON.stringify(one({ provider, timeout_seconds })));

  it.each(providerNames)('of %s may be longer than a call if it has jobs', (name) => {
    const provider = create(name);
    expect(provider?.name).toBe(name);
    expect(read(name, 240).success).toBe(true);
    expect(read(name, 241).success).toBe(provider?.jobs !== undefined);
  });
});

describe('a fault in MODEL_CATALOG stops the start and is named by its path', () => {
  const ofTarget = 'MODEL_CATALOG.models.0.targets.0';
  it.each<[string, unknown, string]>([
    ['no JSON', '{"models":', 'MODEL_CATALOG must be JSON'],
    ['no object', [], 'MODEL_CATALOG'],
    ['an unknown part', { add: [] }, '"add"'],
    ['models that are no list', { models: {} }, 'MODEL_CATALOG.models'],
    ['a model without an id', { models: [{ targets: [target] }] }, 'MODEL_CATALOG.models.0.id'],
    [
      'an id with a space',
      { models: [{ id: 'a b', targets: [target] }] },
      'MODEL_CATALOG.models.0.id',
    ],
    [
      'a model without targets',
      { models: [{ id: 'mine', targets: [] }] },
      'MODEL_CATALOG.models.0.targets',
    ],
    [
      'the same id twice',
      { models: [...one().models, ...one().models] },
      'MODEL_CATALOG.models.1.id',
    ],
    [
      'the same target in two ways',
      { models: [...one().models, { id: 'other', targets: [{ ...target, mask: true }] }] },
      'MODEL_CATALOG.models.1.targets.0',
    ],
    ['an id to remove that is none', { remove: [''] }, 'MODEL_CATALOG.remove.0'],
    ['a model to remove that is not there', { remove: ['never-was'] }, 'MODEL_CATALOG.remove.0'],
    ['auto, which every request without a model needs', { remove: ['auto'] }, 'remove.0'],
    ['an unknown provider', one({ provider: 'nobody' }), `${ofTarget}.provider`],
    ['a target without a model', one({ model: '' }), `${ofTarget}.model`],
    ['an unknown fact', one({ maximum: 1 }), `${ofTarget} Unrecognized key: "maximum"`],
    ['a price that is no list', one({ price: 0.04 }), `${ofTarget}.price`],
    [
      'a price of an unknown kind',
      one({ price: [{ per: 'hour', usd: 1 }] }),
      `${ofTarget}.price.0.per`,
    ],
    [
      'a price below nothing',
      one({ price: [{ per: 'tile', usd: -1 }] }),
      `${ofTarget}.price.0.usd`,
    ],
    [
      'a price per step without the usual number',
      one({ price: [{ per: 'step', usd: 1 }] }),
      `${ofTarget}.price.0.usual`,
    ],
    [
      'a price of a quality that is no number',
      one({ price: [{ per: 'image', usd: 1, by_quality: { hd: '2' } }] }),
      `${ofTarget}.price.0.by_quality.hd`,
    ],
    [
      'a price with a part of another',
      one({ price: [{ per: 'tile', usd: 1, round_up: true }] }),
      `${ofTarget}.price.0`,
    ],
    [
      'a sizing of sizes and of bounds',
      one({ sizing: { sizes: ['64x64'], step: 8 } }),
      `${ofTarget}.sizing.step does not go with sizes`,
    ],
    [
      'a sizing of sizes and of ratios',
      one({ sizing: { aspect_ratios: ['1:1'], sizes: ['64x64'] } }),
      `${ofTarget}.sizing.aspect_ratios does not go with sizes`,
    ],
    [
      'a sizing of ratios and of bounds',
      one({ sizing: { sizes: ['64x64'], max_pixels: 65_536 } }),
      `${ofTarget}.sizing.max_pixels does not go with sizes`,
    ],
    ['a size that is none', one({ sizing: { sizes: ['large'] } }), `${ofTarget}.sizing.sizes.0`],
    [
      'a ratio that is none',
      one({ sizing: { aspect_ratios: ['1:1', '7:5'] } }),
      `${ofTarget}.sizing.aspect_ratios.1`,
    ],
    ['a side that is none', one({ sizing: { max: 'big' } }), `${ofTarget}.sizing.max`],
    ['no sizes', one({ sizing: { sizes: [] } }), `${ofTarget}.sizing.sizes`],
    ['an unknown bound', one({ sizing: { most: 1 } }), '"most"'],
    [
      'a least side above the largest there is',
      one({ sizing: { min: 2048, max: 64 } }),
      `${ofTarget}.sizing.min must not be above max`,
    ],
    [
      'bounds the wrong way round',
      one({ sizing: { min: 1024, max: 512 } }),
      `${ofTarget}.sizing.min`,
    ],
    ['no images', one({ max_images: 0 }), `${ofTarget}.max_images`],
    ['more images than a request may want', one({ max_images: 9 }), `${ofTarget}.max_images`],
    ['no characters', one({ max_prompt_chars: 0 }), `${ofTarget}.max_prompt_chars`],
    ['half a step', one({ max_steps: 0.5 }), `${ofTarget}.max_steps`],
    ['an unknown format', one({ formats: ['gif'] }), `${ofTarget}.formats.0`],
    ['no format', one({ formats: [] }), `${ofTarget}.formats`],
    ['an input image that is neither', one({ input_image: true }), `${ofTarget}.input_image`],
    ['a mask that is no flag', one({ mask: 'yes' }), `${ofTarget}.mask`],
    ['a repeatable that is no flag', one({ repeatable: 1 }), `${ofTarget}.repeatable`],
    ['no concurrency at all', one({ concurrency: 0 }), `${ofTarget}.concurrency`],
    ['no time at all', one({ timeout_seconds: 0 }), `${ofTarget}.timeout_seconds`],
    [
      'a time that no call without a job may take',
      one({ timeout_seconds: 241 }),
      `${ofTarget}.timeout_seconds must be at most 240: openai has no jobs`,
    ],
    [
      'a size’s own price below nothing',
      one({ price: [{ per: 'image', usd: 1, sizes: { '64x64': { usd: -1 } } }] }),
      `${ofTarget}.price.0.sizes.64x64.usd`,
    ],
    ['a duration below nothing', one({ usual_seconds: -1 }), `${ofTarget}.usual_seconds`],
  ])('%s', (_, catalog, path) => {
    expect(() => read(catalog)).toThrow(path);
  });

  it('names every fault at once', () => {
    expect(() => read(one({ mask: 1, max_images: 0 }))).toThrow(/max_images.*mask/s);
  });
});

describe('GET /v1/models', () => {
  useWorld();

  const modelsWith = async (settings: { readonly MODEL_CATALOG: string }) => {
    const { key } = await newClient();
    const app = createApp(createServices({ ...env, ...settings }));
    const headers = { authorization: `Bearer ${key}` };
    const response = await app.request('/v1/models', { headers });
    return (await response.json<{ items: ModelView[] }>()).items;
  };

  it('shows the operator’s own models and none that is removed', async () => {
    const MODEL_CATALOG = JSON.stringify({
      ...one({
        price: [
          { per: 'image', usd: 0.01 },
          { per: 'megapixel', usd: 0.002, round_up: true },
          { per: 'step', usd: 0.0001, usual: 20 },
        ],
        sizing: { step: 8, min: 128, max: 1024, max_pixels: 786_432 },
        max_prompt_chars: 1_000,
      }),
      remove: ['dall-e-3'],
    });
    const items = await modelsWith({ MODEL_CATALOG });
    expect(items.map(({ id }) => id)).not.toContain('dall-e-3');
    expect(items.find(({ id }) => id === 'mine')).toMatchObject({
      available: true,
      unavailable_reason: null,
      capabilities: { input_image: 'none', mask: false, output_formats: ['png', 'jpeg', 'webp'] },
      limits: { max_images: 1, max_prompt_chars: 1_000, max_steps: null },
      targets: [
        {
          ...target,
          price: {
            per_image_usd: 0.016,
            parts: [
              { per: 'image', usd: 0.01 },
              { per: 'megapixel', usd: 0.002, round_up: true },
              { per: 'step', usd: 0.0001, usual: 20 },
            ],
          },
          limits: {
            sizing: {
              sizes: null,
              aspect_ratios: null,
              min_side: 128,
              max_side: 1024,
              step: 8,
              max_pixels: 786_432,
            },
          },
        },
      ],
    });
  });

  it('has what a model can do with any of its targets', async () => {
    const targets = [
      { ...target, max_images: 4, max_steps: 20, sizing: { aspect_ratios: ['1:1'] } },
      { ...target, model: 'mine-2', input_image: 'required', formats: ['webp'], mask: true },
      { ...target, model: 'mine-3', max_steps: 30, sizing: { aspect_ratios: ['1:1'] } },
    ];
    const MODEL_CATALOG = JSON.stringify({ models: [{ id: 'mine', targets }] });
    const items = await modelsWith({ MODEL_CATALOG });
    const mine = items.find(({ id }) => id === 'mine');
    expect(mine?.capabilities).toEqual({
      input_image: 'optional',
      mask: true,
      output_formats: ['png', 'jpeg', 'webp'],
    });
    expect(mine?.limits).toMatchObject({ max_images: 4, max_prompt_chars: null, max_steps: null });
    expect(mine?.limits.sizing.map((way) => way.aspect_ratios)).toEqual([['1:1'], null]);
  });
});
