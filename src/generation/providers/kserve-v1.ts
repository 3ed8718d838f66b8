/** KServe's V1 protocol: `instances` in, `predictions` out, and what is in them is the model's own. */
import { z } from 'zod';
import type { Picture } from './direct';
import { readJson } from './jobs';
import type { Protocol } from './kserve';

const pathOf = (model: string) => `/v1/models/${encodeURIComponent(model)}`;

const answerSchema = z.object({ predictions: z.unknown() });
const readinessSchema = z.object({ ready: z.union([z.boolean(), z.literal(['True', 'False'])]) });

export const v1: Protocol = {
  predictPath: (model) => `${pathOf(model)}:predict`,
  readinessPath: pathOf,
  body: (parameters) => ({ body: { instances: [parameters] }, unsent: [] }),
  pictures: (body) => picturesIn(readJson(body, answerSchema)?.predictions, null),
  isReady: (body) => {
    const ready = readJson(body, readinessSchema)?.ready;
    return ready === true || ready === 'True';
  },
};

/** Where model servers put their pictures, at any depth. */
const PICTURE_NAMES = [
  'image',
  'images',
  'b64',
  'b64_json',
  'image_data',
  'image_b64',
  'image_base64',
  'generated_images',
];

const record = z.record(z.string(), z.unknown());
const seedSchema = z.object({ seed: z.int().min(0) });

/** A seed holds for all pictures below it. */
function picturesIn(value: unknown, outerSeed: number | null): Picture[] {
  if (typeof value === 'string') return [{ source: value, seed: outerSeed }];
  if (Array.isArray(value)) return value.flatMap((item) => picturesIn(item, outerSeed));
  const named = record.safeParse(value);
  if (!named.success) return [];
  const seed = seedSchema.safeParse(value).data?.seed ?? outerSeed;
  const name = PICTURE_NAMES.find((candidate) => Object.hasOwn(named.data, candidate));
  return name === undefined ? [] : picturesIn(named.data[name], seed);
}
