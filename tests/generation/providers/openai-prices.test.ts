import { describe, expect, it } from 'vitest';
import { openAiCostMicros } from '../../../src/generation/providers/openai-prices';

const answer = (fields: object, images = 1) => ({
  created: 1,
  data: Array.from({ length: images }, () => ({ b64_json: 'x' })),
  ...fields,
});
const usage = (input: [text: number, image: number], output: number) => ({
  usage: {
    input_tokens: input[0] + input[1],
    input_tokens_details: { text_tokens: input[0], image_tokens: input[1] },
    output_tokens: output,
    total_tokens: input[0] + input[1] + output,
  },
});
const made = (quality: unknown, size: unknown) => ({ quality, size });
const uncounted = { input_tokens: 0, output_tokens: 0 };

describe('what an answer of OpenAI costs', () => {
  it.each<[string, string, object, number]>([
    ['its tokens', 'gpt-image-1', answer(usage([10, 0], 1056)), 42_290],
    ['those of an input image too', 'gpt-image-1', answer(usage([10, 323], 1056)), 45_520],
    ['those of each model', 'gpt-image-1-mini', answer(usage([10, 1], 272)), 2_199],
    ['those of each model', 'gpt-image-1.5', answer(usage([10, 100], 4160)), 133_970],
    ['those of each model', 'gpt-image-2', answer(usage([10, 100], 7024)), 211_570],
    ['those of a dated model', 'gpt-image-2-2026-04-21', answer(usage([10, 0], 7024)), 210_770],
    ['those of all its images', 'gpt-image-1', answer(usage([10, 0], 2112), 2), 84_530],
    [
      'its tokens, whatever it says of quality and size',
      'gpt-image-1',
      answer({ ...usage([10, 0], 1056), ...made('high', '1536x1024') }),
      42_290,
    ],
    [
      'the dearer rate for tokens that it does not tell apart',
      'gpt-image-1',
      answer({ usage: { input_tokens: 10, output_tokens: 1056 } }),
      42_340,
    ],
    [
      'another rate for text that it wrote',
      'gpt-image-1.5',
      answer({
        usage: {
          input_tokens: 0,
          output_tokens: 1100,
          output_tokens_details: { text_tokens: 100, image_tokens: 1000 },
        },
      }),
      33_000,
    ],
    [
      'the list price of what it made, without tokens',
      'gpt-image-1',
      answer(made('medium', '1024x1536')),
      63_000,
    ],
    [
      'that of each of its images',
      'gpt-image-1',
      answer({ ...made('low', '1024x1024'), usage: uncounted }, 3),
      33_000,
    ],
  ])('is %s (%s)', (_, model, body, micros) => {
    expect(openAiCostMicros(model, body)).toBe(micros);
  });

  it.each<[string, string, unknown]>([
    ['is of a model without a price', 'gpt-image-99', answer(usage([10, 0], 1056))],
    ['is of a model that is named like a method', 'constructor', answer(usage([10, 0], 1056))],
    ['says nothing', 'gpt-image-1', answer({})],
    ['is of DALL·E, which tells nothing', 'dall-e-3', answer({})],
    ['tells no size', 'gpt-image-1', answer(made('high', null))],
    ['tells no quality', 'gpt-image-1', answer(made(5, '1024x1024'))],
    ['tells a size that is none', 'gpt-image-1', answer(made('high', 'auto'))],
    ['has tokens that are none', 'gpt-image-1', answer({ usage: { output_tokens: 'many' } })],
    ['is no answer', 'gpt-image-1', null],
  ])('is for the price list to say when it %s', (_, model, body) => {
    expect(openAiCostMicros(model, body)).toBeNull();
  });
});
