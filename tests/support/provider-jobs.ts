import type {
  CallContext,
  PollContext,
  ProviderJob,
} from '../../src/generation/providers/provider';

/** A job that asks for nothing but a prompt. */
export const jobWith = (fields: Partial<ProviderJob> = {}): ProviderJob => ({
  model: 'gpt-image-1',
  prompt: 'a lighthouse at dusk',
  negativePrompt: null,
  n: 1,
  size: null,
  aspectRatio: null,
  seed: null,
  steps: null,
  guidanceScale: null,
  outputFormat: null,
  image: null,
  mask: null,
  strength: null,
  previews: 0,
  options: {},
  ...fields,
});

export const contextWith = (fields: Partial<CallContext> = {}): CallContext => ({
  attempt: 1,
  requestId: 'req_00000000000000000000000000',
  signal: new AbortController().signal,
  correlationId: 'corr-1',
  traceparent: null,
  deadlineAt: Date.now() + 900_000,
  callbackUrl: 'https://foreman.test/v1/callbacks/usr_1/req_1/1?signature=s',
  ...fields,
});

export const pollContextWith = (fields: Partial<PollContext> = {}): PollContext => ({
  signal: new AbortController().signal,
  correlationId: 'corr-1',
  traceparent: null,
  waitedMs: 1_000,
  expectsCallback: false,
  texts: ['a lighthouse at dusk'],
  ...fields,
});
