/** From the parameters of a call to a submission, and to what its answer is to be like. Pure. */
import type { JsonObject } from '../platform/json';
import { invalidParameter, missingParameter, unknownParameter } from './errors';
import {
  type AnswerPart,
  type Endpoint,
  type Part,
  parametersOf,
  type ResponseFormat,
} from './parameters';

/** How the images are to be sent back. */
export interface Wanted {
  readonly endpoint: Endpoint;
  readonly format: ResponseFormat;
  readonly isStreamed: boolean;
  /** How many interim images a stream may have. */
  readonly partialImages: number;
  /** As asked for; `auto` where nothing was. */
  readonly size: string;
  /** Parameters that only OpenAI's own models know, with their values. */
  readonly options: JsonObject;
  /** What was accepted and has no effect. */
  readonly warnings: readonly string[];
}

export interface Translation {
  /** The body of a submission. Equal calls have equal ones. */
  readonly submission: JsonObject;
  /** To be stored; their ids are the submission's fields of these names. */
  readonly files: Readonly<Record<string, File>>;
  readonly wanted: Wanted;
}

/**
 * @param given by name; null counts as left out, as it does with OpenAI. In a form that is an empty
 * field: OpenAI's Python client writes None so.
 * @throws AppError `invalid_request`, which names the parameter.
 */
export function translate(
  endpoint: Endpoint,
  given: Readonly<Record<string, unknown>>,
  { isForm }: { readonly isForm: boolean },
): Translation {
  const table = new Map(parametersOf(endpoint));
  const parts = new Map<string, Part>();
  for (const [name, value] of Object.entries(given)) {
    const parameter = table.get(name);
    if (!parameter) throw unknownParameter(name);
    if (value === null || (isForm && value === '')) continue;
    const { takes, fromText, becomes } = parameter;
    const parsed = takes.safeParse(isForm && typeof value === 'string' ? fromText(value) : value);
    if (!parsed.success) throw invalidParameter(name, parsed.error.issues[0]?.message ?? '');
    // What `takes` lets through is what `becomes` takes: a row is made of both at once.
    parts.set(name, becomes(parsed.data as never));
  }
  for (const [name, { isRequired }] of table) {
    if (isRequired && !parts.has(name)) throw missingParameter(name);
  }
  return assemble(endpoint, given, parts);
}

function assemble(
  endpoint: Endpoint,
  given: Readonly<Record<string, unknown>>,
  parts: ReadonlyMap<string, Part>,
): Translation {
  const of = <Key extends keyof Part>(key: Key) =>
    Object.fromEntries(
      [...parts].flatMap(([name, part]) => (part[key] === undefined ? [] : [[name, part[key]]])),
    ) as Record<string, NonNullable<Part[Key]>>;
  const fields = Object.assign({}, ...Object.values(of('fields'))) as JsonObject;
  const answer = Object.assign({}, ...Object.values(of('answer'))) as AnswerPart;
  const { options, warnings } = judge(fields, of('option'), answer);
  const metadata = of('metadata');
  const { isStreamed = false, partialImages = 0 } = answer;
  const previews = isStreamed && isOne(fields) ? partialImages : 0;
  const submission: JsonObject = {
    ...fields,
    ...(previews > 0 ? { previews } : {}),
    ...(Object.keys(options).length > 0 ? { provider_options: { openai: options } } : {}),
    ...(Object.keys(metadata).length > 0 ? { metadata } : {}),
  };
  const size = typeof given.size === 'string' ? given.size : 'auto';
  const format = formatOf(fields, answer);
  const wanted = { endpoint, format, isStreamed, partialImages: previews, size, options, warnings };
  return { submission, files: of('file'), wanted };
}

/** What goes together, and what is idle beside what else was said. */
function judge(
  fields: JsonObject,
  asked: Readonly<Record<string, string | number>>,
  { responseFormat, isStreamed = false, partialImages = 0 }: AnswerPart,
): Pick<Wanted, 'options' | 'warnings'> {
  if (isStreamed && responseFormat === 'url') {
    throw invalidParameter('response_format', 'must be b64_json with stream, or left out');
  }
  const warnings: string[] = [];
  if (partialImages > 0 && !isStreamed) {
    warnings.push('partial_images has no effect without stream');
  }
  if (partialImages > 0 && isStreamed && !isOne(fields)) {
    warnings.push('partial_images has no effect with n above 1');
  }
  const { output_compression: compression, ...options } = asked;
  if (compression === undefined) return { options, warnings };
  if (fields.output_format === 'jpeg' || fields.output_format === 'webp') {
    return { options: asked, warnings };
  }
  warnings.push('output_compression has no effect without output_format jpeg or webp');
  return { options, warnings };
}

const isOne = ({ n = 1 }: JsonObject) => n === 1;

/** As OpenAI documents: its GPT image models have always answered with the images themselves. */
function formatOf({ model }: JsonObject, { responseFormat, isStreamed }: AnswerPart) {
  if (isStreamed) return 'b64_json';
  const isGptImage = typeof model === 'string' && /^(chatgpt|gpt)-image/.test(model);
  return responseFormat ?? (isGptImage ? 'b64_json' : 'url');
}
