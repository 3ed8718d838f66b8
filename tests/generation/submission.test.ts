import { describe, expect, it } from 'vitest';
import { assess } from '../../src/generation/assess';
import { targetOf } from '../../src/generation/model-parts';
import {
  checkFields,
  checkModels,
  fill,
  submissionSchema,
  warningsFor,
} from '../../src/generation/submission';
import { AppError } from '../../src/platform/errors';
import type { JsonObject } from '../../src/platform/json';
import { catalogOf, inputOf, modelOf } from '../support/catalog';

function pathsOf(work: () => unknown): string[] {
  try {
    work();
  } catch (error) {
    if (error instanceof AppError) return (error.details.errors ?? []).map(({ path }) => path);
    throw error;
  }
  return [];
}

describe('a body', () => {
  it.each<[JsonObject, string]>([
    [{ prompt: 1 }, 'prompt'],
    [{ prompt: '  ' }, 'prompt'],
    [{ prompt: 'a boat', n: 0 }, 'n'],
    [{ prompt: 'a boat', n: 9 }, 'n'],
    [{ prompt: 'a boat', seed: -1 }, 'seed'],
    [{ prompt: 'a boat', seed: 2 ** 32 }, 'seed'],
    [{ prompt: 'a boat', aspect_ratio: '7:5' }, 'aspect_ratio'],
    [{ prompt: 'a boat', reuse: 'always' }, 'reuse'],
    [{ prompt: 'a boat', style: '' }, 'style'],
    [{ prompt: 'a boat', parent_id: 5 }, 'parent_id'],
    [{ prompt: 'a boat', variations_of: null }, 'variations_of'],
    [{ prompt: 'a boat', dry_run: 'true' }, 'dry_run'],
    [{ prompt: 'a boat', max_cost_usd: -1 }, 'max_cost_usd'],
  ])('%o is refused for %s', (body, path) => {
    const parsed = submissionSchema.safeParse(body);
    expect(parsed.error?.issues.map((issue) => issue.path.join('.'))).toEqual([path]);
  });

  it.each(['styled', 'reuse_key', 'user_id', 'Prompt'])('has no field %s', (name) => {
    const parsed = submissionSchema.safeParse({ prompt: 'a boat', [name]: 'x' });
    expect(parsed.error?.issues).toMatchObject([{ code: 'unrecognized_keys', keys: [name] }]);
  });

  it.each([null, [], 'a boat', 5])('that is %o is none', (body) => {
    expect(submissionSchema.safeParse(body).success).toBe(false);
  });
});

describe('what is asked', () => {
  const style = { model: 'styled', width: 512, height: 512, steps: 20 };
  const original = { model: 'original', prompt: 'a boat', n: 4, aspect_ratio: '3:2', steps: 9 };

  it.each<[string, JsonObject, JsonObject[], JsonObject]>([
    ['is what the client wrote', { prompt: 'a boat', n: 2 }, [], { prompt: 'a boat', n: 2 }],
    ['is one image unless said', { prompt: 'a boat' }, [], { prompt: 'a boat', n: 1 }],
    [
      'has the gaps filled by the style',
      { prompt: 'a boat' },
      [style],
      { prompt: 'a boat', n: 1, width: 512, height: 512, steps: 20 },
    ],
    [
      'has nothing of the style where the client said something',
      { prompt: 'a boat', steps: 1 },
      [style],
      { prompt: 'a boat', n: 1, width: 512, height: 512, steps: 1 },
    ],
    [
      'has what is left of the request that it varies below the style',
      {},
      [{ steps: 20 }, original],
      { prompt: 'a boat', n: 4, aspect_ratio: '3:2', steps: 20 },
    ],
    [
      'has a ratio of the client in the place of pixels from below',
      { prompt: 'a boat', aspect_ratio: '1:1' },
      [style],
      { prompt: 'a boat', n: 1, aspect_ratio: '1:1', steps: 20 },
    ],
    [
      'has pixels of the client in the place of a ratio from below',
      { width: 640, height: 480 },
      [{}, original],
      { prompt: 'a boat', n: 4, width: 640, height: 480, steps: 9 },
    ],
    [
      'has pixels of the style in the place of a ratio from below that',
      {},
      [style, original],
      { prompt: 'a boat', n: 4, width: 512, height: 512, steps: 20 },
    ],
    [
      'has a strength from below where there is an image',
      { prompt: 'a boat', image: 'img_1' },
      [{ strength: 0.5 }],
      { prompt: 'a boat', n: 1, image: 'img_1', strength: 0.5 },
    ],
    [
      'has no strength from below without an image',
      { prompt: 'a boat' },
      [{ strength: 0.5 }],
      { prompt: 'a boat', n: 1 },
    ],
    [
      'has nothing that is about the request itself',
      { prompt: 'a boat', priority: 'high', metadata: {}, style: 'ink', reuse: 'exact' },
      [],
      { prompt: 'a boat', n: 1 },
    ],
  ])('%s', (_, body, layers, expected) => {
    expect(fill(body, layers).input).toEqual(expected);
  });

  it.each<[JsonObject, JsonObject[], string]>([
    [{}, [{}, {}], 'auto'],
    [{}, [{}, original], 'original'],
    [{}, [style, original], 'styled'],
    [{ model: 'mine' }, [style, original], 'mine'],
  ])('is of the model that is named first: %o over %o', (body, layers, model) => {
    expect(fill({ prompt: 'a boat', ...body }, layers).model).toBe(model);
  });

  it('is refused as a whole when nobody gives a prompt', () => {
    expect(pathsOf(() => fill({ n: 2 }, [{ steps: 4 }]))).toEqual(['prompt']);
  });

  it('half a size of the client’s is not completed by half of another', () => {
    const { input } = fill({ prompt: 'a boat', width: 640 }, [style]);
    const body = submissionSchema.parse({ prompt: 'a boat', width: 640 });
    expect(input.height).toBeUndefined();
    expect(pathsOf(() => checkFields(body, input, () => null))).toEqual(['height']);
  });

  it('a strength that the client wrote is kept, to be refused without an image', () => {
    const { input } = fill({ prompt: 'a boat', strength: 0.5 }, []);
    const body = submissionSchema.parse({ prompt: 'a boat', strength: 0.5 });
    expect(pathsOf(() => checkFields(body, input, () => null))).toEqual(['strength']);
  });
});

describe('the fields of a whole submission', () => {
  const fault = (url: string) => (url.includes('inside') ? 'is inside' : null);
  it.each<[JsonObject, string[]]>([
    [{}, []],
    [{ width: 512, height: 512 }, []],
    [{ width: 512 }, ['height']],
    [{ height: 512 }, ['width']],
    [{ width: 512, height: 512, aspect_ratio: '1:1' }, ['aspect_ratio']],
    [{ mask: 'img_1' }, ['mask']],
    [{ image: 'img_1', mask: 'img_2', strength: 1 }, []],
    [{ webhook_url: 'https://outside.test/' }, []],
    [{ webhook_url: 'https://inside.test/' }, ['webhook_url']],
    [{ image: 'HTTPS://inside.test/x.png' }, ['image']],
    [{ image: 'img_1', mask: 'http://inside.test/x.png' }, ['mask']],
    [{ image: 'data:image/png;base64,inside' }, []],
    [
      { strength: 1, mask: 'img_1', webhook_url: 'https://inside.test/' },
      ['mask', 'strength', 'webhook_url'],
    ],
  ])('of %o are at fault: %o', (fields, paths) => {
    const raw = { prompt: 'a boat', ...fields };
    const body = submissionSchema.parse(raw);
    const { input } = fill(raw, []);
    expect(pathsOf(() => checkFields(body, input, fault))).toEqual(paths);
  });
});

describe('a model that there is not', () => {
  const catalog = catalogOf([modelOf('m', targetOf('openai', 'one'))]);
  it.each<[string, string[] | undefined, string[]]>([
    ['m', undefined, []],
    ['m', ['m'], []],
    ['gone', undefined, ['model']],
    ['m', ['m', 'gone', 'gone too'], ['fallback_models.1']],
    ['gone', ['gone too'], ['model']],
  ])('%s with the fallbacks %o is refused by its place: %o', (model, fallback_models, paths) => {
    const input = inputOf({ fallback_models });
    expect(pathsOf(() => checkModels(catalog, { model, input }))).toEqual(paths);
  });
});

describe('what was accepted and has no effect', () => {
  const catalog = catalogOf(
    [
      modelOf('m', targetOf('openai', 'one'), targetOf('fal', 'two')),
      modelOf('n', targetOf('bfl', 'three')),
      modelOf('dear', targetOf('xai', 'four', { price: [{ per: 'image', usd: 1 }] })),
      modelOf('off', targetOf('google', 'five')),
      modelOf('many', targetOf('fal', 'six', { limits: { maxImages: 8 } })),
    ],
    { off: { google: 'GOOGLE_API_KEY is not set' } },
  );
  const warned = (fields: JsonObject) => {
    const raw = { prompt: 'a boat', model: 'm', ...fields };
    const { model, input } = fill(raw, []);
    const body = submissionSchema.parse(raw);
    const maxCostMicros = body.max_cost_usd === undefined ? null : body.max_cost_usd * 1e6;
    const assessment = assess(catalog, { model, input, maxCostMicros });
    return warningsFor(body, input, { catalog, assessment });
  };

  it.each<[JsonObject, string[]]>([
    [{}, []],
    [{ webhook_events: ['request.failed'] }, ['webhook_events has no effect without webhook_url']],
    [{ webhook_events: ['request.*'], webhook_url: 'https://a.test/' }, []],
    [{ fallback_on_refusal: true }, ['fallback_on_refusal has no effect without fallback_models']],
    [{ fallback_on_refusal: true, fallback_models: ['n'] }, []],
    [
      { fallback_on_refusal: true, fallback_models: [] },
      ['fallback_on_refusal has no effect without fallback_models'],
    ],
    [{ fallback_on_refusal: false }, []],
    [{ reuse: 'exact' }, ['reuse has no effect without seed']],
    [{ reuse: 'exact', seed: 0 }, []],
    [{ reuse: 'off' }, []],
    [{ previews: 3 }, []],
    [{ previews: 3, n: 2 }, ['previews has no effect with n above 1']],
    [{ previews: 0, n: 2 }, []],
    [{ provider_options: { openai: {}, fal: {} } }, []],
    [
      { provider_options: { bfl: {} } },
      ['provider_options.bfl has no effect: no target is of that provider'],
    ],
    [{ provider_options: { bfl: {} }, fallback_models: ['n'] }, []],
    [
      { provider_options: { google: {} }, fallback_models: ['n', 'off'] },
      [
        'fallback_models.1 has no effect: none of its targets can serve this request',
        'provider_options.google has no effect: none of its targets can serve this request',
      ],
    ],
    [
      { fallback_models: ['dear', 'n'], max_cost_usd: 0.5 },
      ['fallback_models.0 has no effect: none of its targets can serve this request'],
    ],
    [{ fallback_models: ['dear', 'n'], max_cost_usd: 1 }, []],
    [
      {
        n: 2,
        model: 'many',
        fallback_models: ['n', 'm'],
        provider_options: { openai: {}, fal: {} },
      },
      [
        'fallback_models.0 has no effect: none of its targets can serve this request',
        'fallback_models.1 has no effect: none of its targets can serve this request',
        'provider_options.openai has no effect: none of its targets can serve this request',
      ],
    ],
  ])('%o: %o', (fields, warnings) => {
    expect(warned(fields)).toEqual(warnings);
  });
});
