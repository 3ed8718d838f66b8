// The table against the official client's own types, so that a new parameter of theirs is noticed.
import { describe, expect, it } from 'vitest';
import { type Endpoint, parametersOf } from '../../src/openai/parameters';
import { translate } from '../../src/openai/translate';
import { AppError } from '../../src/platform/errors';

const [declarations = ''] = Object.values(
  import.meta.glob<string>('../../node_modules/openai/resources/images.d.ts', {
    query: '?raw',
    import: 'default',
    eager: true,
    exhaustive: true,
  }),
);

function namesIn(type: string): string[] {
  const [, body = ''] =
    new RegExp(`^export interface ${type} \\{\\n([\\s\\S]*?)^\\}`, 'm').exec(declarations) ?? [];
  return [...body.matchAll(/^ {4}(\w+)\??:/gm)].map(([, name = '']) => name);
}

const png = new File([new Uint8Array(4)], 'a.png', { type: 'image/png' });
const least: Readonly<Record<Endpoint, object>> = {
  generations: { prompt: 'a boat' },
  edits: { prompt: 'a boat', image: png },
};
const read = (endpoint: Endpoint, given: object, isForm = endpoint === 'edits') =>
  translate(endpoint, { ...least[endpoint], ...given }, { isForm });
const generation = (given: object) => read('generations', given);

function refusalOf(work: () => unknown) {
  try {
    work();
  } catch (error) {
    if (error instanceof AppError) return { ...(error.details.extensions?.openai as object) };
    throw error;
  }
  throw new Error('expected a refusal');
}

describe('the table', () => {
  it.each([
    ['generations', 'ImageGenerateParamsBase'],
    ['edits', 'ImageEditParamsBase'],
  ] as const)(
    'has every parameter of %s that the official client has, and no other',
    (endpoint, type) => {
      const names = namesIn(type);
      expect(names.length).toBeGreaterThan(15);
      expect(
        parametersOf(endpoint)
          .map(([name]) => name)
          .sort(),
      ).toEqual(names.sort());
    },
  );
});

describe('what a call says', () => {
  it.each<[object, object]>([
    [{ model: 'gpt-image-1' }, { model: 'gpt-image-1' }],
    [{ n: 8 }, { n: 8 }],
    [{ size: '1536x864' }, { width: 1536, height: 864 }],
    [{ size: 'auto' }, {}],
    [{ output_format: 'webp' }, { output_format: 'webp' }],
    [{ user: 'u-1' }, { metadata: { user: 'u-1' } }],
    [{ safety_identifier: 's-1' }, { metadata: { safety_identifier: 's-1' } }],
    [{ user: '', safety_identifier: '' }, {}],
    [{ quality: 'high' }, { provider_options: { openai: { quality: 'high' } } }],
    [{ quality: 'auto', background: 'auto', moderation: 'auto' }, {}],
    [
      { background: 'transparent' },
      { provider_options: { openai: { background: 'transparent' } } },
    ],
    [{ complexity: 'low' }, { provider_options: { openai: { complexity: 'low' } } }],
    [{ moderation: 'low' }, { provider_options: { openai: { moderation: 'low' } } }],
    [{ style: 'vivid' }, { provider_options: { openai: { style: 'vivid' } } }],
    [
      { output_compression: 40, output_format: 'jpeg' },
      { output_format: 'jpeg', provider_options: { openai: { output_compression: 40 } } },
    ],
    [{ stream: true, partial_images: 2 }, { previews: 2 }],
    [{ stream: false, response_format: 'url', model: null, n: null }, {}],
  ])('%j becomes %j', (given, submission) => {
    expect(generation(given).submission).toEqual({ prompt: 'a boat', ...submission });
  });

  it('is read out of the text of a form, and files are kept apart', () => {
    const given = { n: '2', stream: 'true', output_compression: '7', output_format: 'webp' };
    // OpenAI's Python client writes None so.
    const none = { size: '', quality: '', user: '' };
    const { submission, files, wanted } = read('edits', {
      ...given,
      ...none,
      input_fidelity: 'high',
      mask: png,
    });
    expect(submission).toEqual({
      prompt: 'a boat',
      n: 2,
      output_format: 'webp',
      provider_options: { openai: { output_compression: 7, input_fidelity: 'high' } },
    });
    expect(Object.keys(files)).toEqual(['image', 'mask']);
    expect(wanted).toMatchObject({ endpoint: 'edits', isStreamed: true, format: 'b64_json' });
  });

  it.each<[object, string]>([
    [{}, 'url'],
    [{ model: 'sketch' }, 'url'],
    [{ model: 'gpt-image-2' }, 'b64_json'],
    [{ model: 'chatgpt-image-latest' }, 'b64_json'],
    [{ model: 'gpt-image-2', response_format: 'url' }, 'url'],
    [{ model: 'sketch', response_format: 'b64_json' }, 'b64_json'],
    [{ model: 'sketch', stream: true }, 'b64_json'],
  ])('%j is answered by %s', (given, format) => {
    expect(generation(given).wanted.format).toBe(format);
  });

  it.each<[object, string]>([
    [{ partial_images: 1 }, 'partial_images has no effect without stream'],
    [{ partial_images: 1, stream: true, n: 2 }, 'partial_images has no effect with n above 1'],
    [
      { output_compression: 10 },
      'output_compression has no effect without output_format jpeg or webp',
    ],
  ])('%j is answered with a warning', (given, warning) => {
    const { wanted, submission } = generation(given);
    expect(wanted.warnings).toEqual([warning]);
    expect(submission).not.toHaveProperty('previews');
    expect(submission).not.toHaveProperty('provider_options');
  });
});

describe('a parameter is refused by name', () => {
  const invalid = (param: string) => ({ code: 'invalid_value', param });
  it.each<[object, object]>([
    [{ prompt: 'x'.repeat(4_001) }, invalid('prompt')],
    [{ prompt: null }, { code: 'missing_required_parameter', param: 'prompt' }],
    [{ n: 9 }, invalid('n')],
    [{ n: '2' }, invalid('n')],
    [{ size: '1024' }, invalid('size')],
    [{ size: '16x16384' }, invalid('size')],
    [{ output_format: 'gif' }, invalid('output_format')],
    [{ user: 'u'.repeat(513) }, invalid('user')],
    [{ quality: 'best' }, invalid('quality')],
    [{ output_compression: 101 }, invalid('output_compression')],
    [{ partial_images: 4 }, invalid('partial_images')],
    [{ stream: 'true' }, invalid('stream')],
    [{ stream: true, response_format: 'url' }, invalid('response_format')],
    [{ svg: { model: 'x' } }, invalid('svg')],
    [{ frame_count: 3 }, invalid('frame_count')],
    [{ frame_duration_ms: 3 }, invalid('frame_duration_ms')],
    [{ seed: 1 }, { code: 'unknown_parameter', param: 'seed' }],
    [{ input_fidelity: 'high' }, { code: 'unknown_parameter', param: 'input_fidelity' }],
    [{ constructor: 'x' }, { code: 'unknown_parameter', param: 'constructor' }],
  ])('%j', (given, words) => {
    expect(refusalOf(() => generation(given))).toEqual(words);
  });

  it.each<[object, object]>([
    [{ image: 'text' }, invalid('image')],
    [{ image: null }, { code: 'missing_required_parameter', param: 'image' }],
    [{ prompt: '' }, { code: 'missing_required_parameter', param: 'prompt' }],
    [{ n: '2.5' }, invalid('n')],
    [{ n: '9' }, invalid('n')],
    [{ markup: png }, invalid('markup')],
    [{ moderation: 'low' }, { code: 'unknown_parameter', param: 'moderation' }],
  ])('%j of an edit', (given, words) => {
    expect(refusalOf(() => read('edits', given))).toEqual(words);
  });
});
