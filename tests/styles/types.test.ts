import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { aspectRatios, generationInputSchema, outputFormats } from '../../src/generation/types';
import { newStyleSchema, styleDefaultsSchema, styleFieldsSchema } from '../../src/styles/types';

const boundsOf = (schema: z.ZodType) => {
  const { $schema: _, ...bounds } = z.toJSONSchema(schema, { io: 'input' });
  return bounds;
};

describe('the defaults of a style', () => {
  const { model: _, ...shared } = styleDefaultsSchema.shape;
  it.each(Object.entries(shared))('bound %s as a generation does', (name, schema) => {
    const field = generationInputSchema.shape[name as keyof typeof shared];
    expect(boundsOf(schema)).toEqual(boundsOf(field));
  });

  it('know every aspect ratio and output format that a generation knows', () => {
    for (const aspect_ratio of aspectRatios) {
      expect(styleDefaultsSchema.safeParse({ aspect_ratio }).success).toBe(true);
    }
    for (const output_format of outputFormats) {
      expect(styleDefaultsSchema.safeParse({ output_format }).success).toBe(true);
    }
  });
});

const fields = { prompt_template: 'a {prompt}' };
const pathsOf = (body: object) => {
  const { error } = styleFieldsSchema.safeParse(body);
  return error
    ? error.issues.map(({ path, keys }: Issue) => [...path, ...(keys ?? [])].join('.'))
    : [];
};
interface Issue {
  readonly path: PropertyKey[];
  readonly keys?: readonly string[];
}

describe('a style', () => {
  const good: readonly (readonly [string, object])[] = [
    ['a template alone', fields],
    ['a template of 2,000 characters', { prompt_template: `${'x'.repeat(1_992)}{prompt}` }],
    ['braces that are no placeholder', { prompt_template: '{ {prompt} } {style}' }],
    ['null for no negative prompt', { ...fields, negative_prompt: null }],
    ['width with height', { ...fields, defaults: { width: 64, height: 2048 } }],
    [
      'every other default',
      {
        ...fields,
        defaults: {
          model: 'sketch',
          aspect_ratio: '16:9',
          steps: 200,
          guidance_scale: 20,
          output_format: 'webp',
          strength: 0,
        },
      },
    ],
  ];
  it.each(good)('may have %s', (_, body) => {
    expect(pathsOf(body)).toEqual([]);
  });

  const faulty: readonly (readonly [string, object, string])[] = [
    ['no template', {}, 'prompt_template'],
    ['a template without a placeholder', { prompt_template: 'a boat' }, 'prompt_template'],
    ['a template with two', { prompt_template: '{prompt} {prompt}' }, 'prompt_template'],
    ['too long a template', { prompt_template: `${'x'.repeat(1_993)}{prompt}` }, 'prompt_template'],
    ['half of a surrogate pair', { prompt_template: '{prompt}\ud800' }, 'prompt_template'],
    ['an empty negative prompt', { ...fields, negative_prompt: '' }, 'negative_prompt'],
    [
      'too long a negative prompt',
      { ...fields, negative_prompt: 'x'.repeat(1_001) },
      'negative_prompt',
    ],
    ['too long a description', { ...fields, description: 'x'.repeat(501) }, 'description'],
    ['an unknown field', { ...fields, prompt: 'a boat' }, 'prompt'],
    ['an unknown default', { ...fields, defaults: { seed: 1 } }, 'defaults.seed'],
    ['a default out of bounds', { ...fields, defaults: { steps: 201 } }, 'defaults.steps'],
    ['width alone', { ...fields, defaults: { width: 64 } }, 'defaults.height'],
    ['height alone', { ...fields, defaults: { height: 64 } }, 'defaults.width'],
    [
      'a size and an aspect ratio',
      { ...fields, defaults: { width: 64, height: 64, aspect_ratio: '1:1' } },
      'defaults.aspect_ratio',
    ],
  ];
  it.each(faulty)('may not have %s, and the field is named', (_, body, path) => {
    expect(pathsOf(body)).toEqual([path]);
  });

  it.each(['a', '0', 'ink-wash', `a${'-'.repeat(62)}`])('may be named %s', (id) => {
    expect(newStyleSchema.safeParse({ id, ...fields }).success).toBe(true);
  });

  it.each(['', '-ink', 'Ink', 'ink_wash', 'ink wash', 'ink\n', 'é', `a${'-'.repeat(63)}`])(
    'may not be named %j',
    (id) => {
      expect(newStyleSchema.safeParse({ id, ...fields }).success).toBe(false);
    },
  );
});
