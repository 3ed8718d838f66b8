/** What one request of a user may ask for, whatever the user has used so far. Pure. */
import { HOUR_MS } from '../requests/retention';
import type { Limits, Refusal } from './types';

/** What a request asks for, as far as a cap is set on it. */
export interface Asked {
  readonly units: number;
  /** Ids as the client names them: the model first, then its fallbacks. */
  readonly models: readonly string[];
  /** Of one image; `unbounded` when nobody knows the most, null when the request makes none. */
  readonly megapixels: number | 'unbounded' | null;
  /** How long to keep what comes out; null when the request names no time. */
  readonly retentionMs: number | null;
}

/** Waiting helps against none of these. */
export function capRefusal(asked: Asked, limits: Limits): Refusal | null {
  return (
    modelRefusal(asked, limits) ??
    unitsRefusal(asked, limits) ??
    sizeRefusal(asked, limits) ??
    retentionRefusal(asked, limits)
  );
}

function modelRefusal({ models }: Asked, { allowed_models: allowed }: Limits): Refusal | null {
  const used = allowed && models.find((model) => !allowed.includes(model));
  if (!allowed || used === undefined || used === null) return null;
  const listed = allowed.length === 0 ? 'none' : allowed.join(', ');
  return {
    code: 'model_not_allowed',
    limit: 'allowed_models',
    allowed,
    used,
    retryAfterMs: null,
    message: `This account may not use ${used}; it may use ${listed}.`,
  };
}

function unitsRefusal({ units }: Asked, limits: Limits): Refusal | null {
  const { max_images_per_request: allowed } = limits;
  if (units <= allowed) return null;
  return {
    code: 'limit_exceeded',
    limit: 'max_images_per_request',
    allowed,
    used: units,
    retryAfterMs: null,
    message: `This asks for ${units} images; a request of this account may have at most ${allowed}.`,
  };
}

function sizeRefusal({ megapixels }: Asked, limits: Limits): Refusal | null {
  const { max_megapixels: allowed } = limits;
  if (allowed === null || megapixels === null) return null;
  const isUnbounded = megapixels === 'unbounded';
  if (!isUnbounded && megapixels <= allowed) return null;
  return {
    code: 'limit_exceeded',
    limit: 'max_megapixels',
    allowed,
    used: megapixels,
    retryAfterMs: null,
    message: isUnbounded
      ? `How large an image this makes is the provider’s to say, and this account may have ${allowed} ` +
        'megapixels: ask for a width and height, or another model.'
      : `An image of up to ${megapixels} megapixels is more than the ${allowed} of this account: ` +
        'ask for a smaller width and height, or another model.',
  };
}

function retentionRefusal({ retentionMs }: Asked, limits: Limits): Refusal | null {
  const { retention_hours: allowed } = limits;
  if (allowed === null || retentionMs === null || retentionMs <= allowed * HOUR_MS) return null;
  const hours = retentionMs / HOUR_MS;
  return {
    code: 'limit_exceeded',
    limit: 'retention_hours',
    allowed,
    used: hours,
    retryAfterMs: null,
    message: `This asks for images to be kept for ${hours} hours; this account has them for at most ${allowed}.`,
  };
}
