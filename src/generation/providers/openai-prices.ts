/**
 * What OpenAI charges: by its list for what may be made, by the tokens of an answer for what was.
 * Sources: developers.openai.com/api/docs/pricing and the pages of the models.
 */
import { z } from 'zod';
import { type ImagePrice, type Price, type PricePart, priceMicros } from '../prices';

type Qualities = readonly [low: number, medium: number, high: number];

const SQUARE = '1024x1024';
const OBLONG = ['1536x1024', '1024x1536'];

const ofQualities = ([low, medium, high]: Qualities): ImagePrice => ({
  usd: high,
  by_quality: { low, medium, high },
});
const ofSizes = (sizes: readonly string[], price: ImagePrice) =>
  Object.fromEntries(sizes.map((size) => [size, price]));

/** It chooses the quality and the size that it is not told: until it answers, the dearest count. */
const fixedSizes = (square: Qualities, oblong: Qualities): Price => [
  {
    per: 'image',
    ...ofQualities(oblong),
    sizes: { [SQUARE]: ofQualities(square), ...ofSizes(OBLONG, ofQualities(oblong)) },
  },
];

/** Sizes that are not listed need no more tokens for their pixels than the square. */
const anySize = (square: Qualities, oblong: Qualities): Price => [
  {
    per: 'image',
    ...ofQualities(square),
    sizes: ofSizes(OBLONG, ofQualities(oblong)),
    up_to_pixels: 1024 * 1024,
  },
];

/** It makes the standard quality and the square when it is not told. */
const dallE3: Price = [
  {
    per: 'image',
    usd: 0.04,
    by_quality: { standard: 0.04, hd: 0.08 },
    sizes: ofSizes(['1792x1024', '1024x1792'], {
      usd: 0.08,
      by_quality: { standard: 0.08, hd: 0.12 },
    }),
  },
];

/** A partial image counts as 100 tokens of a picture, at so many US dollars per million. */
const partialImage = (usdPerMillion: number): PricePart => ({
  per: 'preview',
  usd: (100 * usdPerMillion) / 1e6,
});

export const openAiPrices = {
  'gpt-image-1': [...fixedSizes([0.011, 0.042, 0.167], [0.016, 0.063, 0.25]), partialImage(40)],
  'gpt-image-1-mini': [
    ...fixedSizes([0.005, 0.011, 0.036], [0.006, 0.015, 0.052]),
    partialImage(8),
  ],
  'gpt-image-1.5': [...fixedSizes([0.009, 0.034, 0.133], [0.013, 0.051, 0.2]), partialImage(32)],
  'gpt-image-2': [...anySize([0.006, 0.053, 0.211], [0.005, 0.041, 0.165]), partialImage(30)],
  'dall-e-3': dallE3,
} as const satisfies Readonly<Record<string, Price>>;
export type OpenAiModel = keyof typeof openAiPrices;

/** Micro-dollars per token, which is US dollars per million. */
interface Tariff {
  readonly text: number;
  readonly image: number;
  readonly madeText: number;
  readonly madeImage: number;
}

const tariffs: Readonly<Partial<Record<OpenAiModel, Tariff>>> = {
  'gpt-image-1': { text: 5, image: 10, madeText: 40, madeImage: 40 },
  'gpt-image-1-mini': { text: 2, image: 2.5, madeText: 8, madeImage: 8 },
  'gpt-image-1.5': { text: 5, image: 8, madeText: 10, madeImage: 32 },
  'gpt-image-2': { text: 5, image: 8, madeText: 30, madeImage: 30 },
};

const tokens = z.int().min(0);
const details = z.object({ text_tokens: tokens, image_tokens: tokens }).nullish().catch(null);
const usageSchema = z.object({
  input_tokens: tokens,
  input_tokens_details: details,
  // A picture is never made of none: a gateway that does not count says 0.
  output_tokens: tokens.min(1),
  output_tokens_details: details,
});
type Usage = z.output<typeof usageSchema>;

const answerSchema = z.object({
  data: z.array(z.unknown()),
  quality: z.string().nullish().catch(null),
  size: z.string().nullish().catch(null),
  usage: usageSchema.nullish().catch(null),
});
type Answer = z.output<typeof answerSchema>;

/** What this answer costs; null when neither its tokens nor what it says it made tell. */
export function openAiCostMicros(name: string, body: unknown): number | null {
  const model = name.replace(/-\d{4}-\d{2}-\d{2}$/, '');
  const { data: answer } = answerSchema.safeParse(body);
  if (!answer || !isPriced(model)) return null;
  const tariff = tariffs[model];
  return tariff && answer.usage
    ? costOfTokens(tariff, answer.usage)
    : costOfImages(openAiPrices[model], answer);
}

const isPriced = (model: string): model is OpenAiModel => Object.hasOwn(openAiPrices, model);

/** Tokens that it does not tell apart count as those of pictures, which are the dearer ones. */
function costOfTokens(tariff: Tariff, usage: Usage): number {
  const read = usage.input_tokens_details ?? {
    text_tokens: 0,
    image_tokens: usage.input_tokens,
  };
  const made = usage.output_tokens_details ?? {
    text_tokens: 0,
    image_tokens: usage.output_tokens,
  };
  return Math.ceil(
    read.text_tokens * tariff.text +
      read.image_tokens * tariff.image +
      made.text_tokens * tariff.madeText +
      made.image_tokens * tariff.madeImage,
  );
}

function costOfImages(price: Price, { quality, size, data }: Answer): number | null {
  const [, width, height] = /^(\d{2,5})x(\d{2,5})$/.exec(size ?? '') ?? [];
  if (!quality || !width || !height) return null;
  const made = { width: Number(width), height: Number(height) };
  return priceMicros(price, { size: made, quality, steps: null }) * data.length;
}
