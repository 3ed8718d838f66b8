/** The options of `foreman generate` as a submission. Pure; ranges are the server's to judge. */

import type { Submission } from '../client/types';
import { UsageError } from './fault';

/** As commander hands them over: named after the long option. */
export interface GenerateOptions {
  readonly model?: string;
  readonly n?: number;
  readonly width?: number;
  readonly height?: number;
  readonly aspectRatio?: string;
  readonly seed?: number;
  readonly steps?: number;
  readonly guidanceScale?: number;
  readonly negativePrompt?: string;
  readonly format?: string;
  readonly style?: string;
  readonly image?: string;
  readonly mask?: string;
  readonly strength?: number;
  readonly fallback?: readonly string[];
  readonly fallbackOnRefusal?: boolean;
  readonly providerOptions?: Readonly<Record<string, unknown>>;
  readonly priority?: string;
  readonly maxCost?: number;
  readonly onBudget?: string;
  readonly deadline?: number;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** `image` and `mask` as the server knows them: an id or a URL. */
export interface References {
  readonly image?: string | undefined;
  readonly mask?: string | undefined;
}

/** What was not said is left out: the server, a style or an earlier request fills it in. */
export function submissionOf(
  prompt: string,
  options: GenerateOptions,
  { image, mask }: References,
): Submission {
  const fields = {
    prompt,
    model: options.model,
    n: options.n,
    width: options.width,
    height: options.height,
    aspect_ratio: options.aspectRatio,
    seed: options.seed,
    steps: options.steps,
    guidance_scale: options.guidanceScale,
    negative_prompt: options.negativePrompt,
    output_format: options.format === 'jpg' ? 'jpeg' : options.format,
    style: options.style,
    image,
    mask,
    strength: options.strength,
    fallback_models: options.fallback,
    fallback_on_refusal: options.fallbackOnRefusal,
    provider_options: options.providerOptions,
    priority: options.priority,
    max_cost_usd: options.maxCost,
    on_budget: options.onBudget,
    deadline_seconds: options.deadline,
    metadata: options.metadata,
  };
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  return asSubmission(Object.fromEntries(given));
}

/** Words for closed lists, such as a format, are passed on as they are: the server names the fault. */
const asSubmission = (fields: Record<string, unknown>) => fields as unknown as Submission;

export type ImageArgument =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'reference'; readonly reference: string };

/** A file that is named like an id is meant by `./img_…`. */
export function imageArgument(text: string): ImageArgument {
  const isReference = /^(https?|data):/i.test(text) || /^img_\w+$/.test(text);
  return isReference ? { kind: 'reference', reference: text } : { kind: 'file', path: text };
}

/** @throws UsageError */
export function numberOption(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) {
    throw new UsageError(`"${text}" is not a number.`);
  }
  return value;
}

/** @throws UsageError */
export function wholeNumberOption(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new UsageError(`"${text}" is not a whole number.`);
  return Number(text);
}

/** `key=value`, again and again. @throws UsageError */
export function pairOption(
  text: string,
  before: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new UsageError(`"${text}" is not of the form key=value.`);
  return Object.fromEntries([...Object.entries(before), [text.slice(0, at), text.slice(at + 1)]]);
}

/** Several in one, by comma, and again and again. */
export const listOption = (text: string, before: readonly string[] = []): string[] => [
  ...before,
  ...text.split(',').map((one) => one.trim()),
];

/** @throws UsageError */
export function jsonObjectOption(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new UsageError('It is not JSON.');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new UsageError('It is no JSON object.');
  }
  return value as Record<string, unknown>;
}
