/** Ends of an attempt that are Foreman's own to tell, not an adapter's. */
import { INPUT_UNAVAILABLE, STORAGE_FAILED } from './plan';
import type { ProviderFailure } from './providers/provider';

export const TARGET_GONE = 'target_gone';
export const OWN_FAULT = 'internal_error';
export const INVALID_OUTPUT = 'invalid_output';
export const OUTPUT_UNAVAILABLE = 'output_unavailable';
export const CUT_SHORT = 'cut_short';

const nothing = { retryAfterMs: null, providerRequestId: null } as const;

export const inputNotRead = (message: string): ProviderFailure => ({
  ...nothing,
  outcome: 'not_sent',
  error: { code: INPUT_UNAVAILABLE, message },
  possiblyBilled: false,
});

export const inputGone = (message: string): ProviderFailure => rejected(INPUT_UNAVAILABLE, message);

/** A job that its provider has goes on there, and nobody can ask for it. */
export const targetGone = (hasJob: boolean): ProviderFailure => {
  const message = 'This target is no longer configured.';
  return hasJob ? unknown(TARGET_GONE, message) : rejected(TARGET_GONE, message);
};

const rejected = (code: string, message: string): ProviderFailure => ({
  ...nothing,
  outcome: 'rejected',
  error: { code, message },
  possiblyBilled: false,
});

/** The request's own deadline ended the call before the target's time was up. */
export const cutShort = (failure: ProviderFailure): ProviderFailure => ({
  ...failure,
  error: { code: CUT_SHORT, message: 'The deadline of the request ended the call.' },
});

export const noAnswer = (limitMs: number): ProviderFailure =>
  unknown('timeout', `No answer within ${limitMs} ms.`);

export const ownFault = (): ProviderFailure =>
  unknown(OWN_FAULT, 'The call ended in a fault of Foreman.');

const unknown = (code: string, message: string): ProviderFailure => ({
  ...nothing,
  outcome: 'unknown',
  error: { code, message },
  possiblyBilled: true,
});

export const timedOut = (
  provider: string,
  waitedMs: number,
  providerRequestId: string | null,
): ProviderFailure => ({
  ...unknown('timeout', `${provider} had the job for ${Math.round(waitedMs / 1000)} s.`),
  providerRequestId,
});

export const notFoundAnyMore = (
  provider: string,
  providerRequestId: string | null,
): ProviderFailure => ({
  ...nothing,
  outcome: 'failed',
  error: { code: 'job_not_found', message: `${provider} does not know the job it accepted.` },
  providerRequestId,
  possiblyBilled: true,
});

export const notStored = (providerRequestId: string | null): ProviderFailure => ({
  ...nothing,
  outcome: 'failed',
  error: { code: STORAGE_FAILED, message: 'The images were made but could not be stored.' },
  providerRequestId,
  possiblyBilled: true,
});

export const noValidImage = (
  reason: string,
  providerRequestId: string | null,
): ProviderFailure => ({
  ...nothing,
  outcome: 'failed',
  error: { code: INVALID_OUTPUT, message: `The answer is no valid image: ${reason}` },
  providerRequestId,
  possiblyBilled: true,
});

/** The provider says that there are images, and does not give them out. */
export const outputNotFetched = (
  reason: string,
  providerRequestId: string | null,
): ProviderFailure => ({
  ...nothing,
  outcome: 'failed',
  error: { code: OUTPUT_UNAVAILABLE, message: `The images could not be fetched: ${reason}` },
  providerRequestId,
  possiblyBilled: true,
});
