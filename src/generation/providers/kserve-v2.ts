/** KServe's V2 protocol (the Open Inference Protocol, also Triton's): typed tensors in and out. */
import { z } from 'zod';
import type { Json } from '../../platform/json';
import type { Picture } from './direct';
import { readJson } from './jobs';
import type { Protocol } from './kserve';

const pathOf = (model: string) => `/v2/models/${encodeURIComponent(model)}`;

const readinessSchema = z.object({ ready: z.boolean() });

export const v2: Protocol = {
  predictPath: (model) => `${pathOf(model)}/infer`,
  readinessPath: (model) => `${pathOf(model)}/ready`,
  body: (parameters) => {
    const entries = Object.entries(parameters);
    const inputs = entries.flatMap(([name, value]) => {
      const datatype = datatypeOf(name, value);
      return datatype === null ? [] : [{ name, shape: [1], datatype, data: [value] }];
    });
    const unsent = entries.filter(([name, value]) => datatypeOf(name, value) === null);
    return { body: { inputs }, unsent: unsent.map(([name]) => name) };
  },
  pictures: picturesIn,
  // The protocol asks for a status only; some servers answer with a body besides.
  isReady: (body) => readJson(body, readinessSchema)?.ready ?? true,
};

type Datatype = 'BYTES' | 'BOOL' | 'INT32' | 'INT64' | 'FP32';

/** Fractions even where a value is whole: a tensor has one type, whatever is in it. */
const FRACTIONS = new Set(['guidance_scale', 'strength']);
const MAX_INT32 = 2 ** 31 - 1;

/** Null for what no tensor of one element can hold. */
function datatypeOf(name: string, value: Json): Datatype | null {
  switch (typeof value) {
    case 'string':
      return 'BYTES';
    case 'boolean':
      return 'BOOL';
    case 'number':
      if (FRACTIONS.has(name) || !Number.isInteger(value)) return 'FP32';
      // Seeds go up to 2³² − 1.
      return name === 'seed' || Math.abs(value) > MAX_INT32 ? 'INT64' : 'INT32';
    default:
      return null;
  }
}

const outputSchema = z.object({
  name: z.string(),
  datatype: z.string(),
  /** Rows may be nested, as the shape says. */
  data: z.array(z.unknown()),
});
const answerSchema = z.object({ outputs: z.array(outputSchema) });
type Output = z.output<typeof outputSchema>;

/** The output with an image in its name, else the first that can hold one. */
function picturesIn(body: string): Picture[] {
  const outputs = readJson(body, answerSchema)?.outputs ?? [];
  const texts = outputs.filter(({ datatype }) => datatype === 'BYTES');
  const output = texts.find(({ name }) => /image/i.test(name)) ?? texts[0];
  const sources = z.array(z.string()).safeParse(flat(output)).data ?? [];
  const seeds = flat(outputs.find(({ name }) => name === 'seed' || name === 'seeds'));
  return sources.map((source, index) => ({ source, seed: seedSchema.parse(seeds[index]) }));
}

const seedSchema = z.int().min(0).nullable().catch(null);

/** Infinity is as deep as there is JSON. */
const flat = (output: Output | undefined): unknown[] =>
  output?.data.flat(Number.POSITIVE_INFINITY) ?? [];
