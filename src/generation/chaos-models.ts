import type { Model, TargetLimits } from './catalog';
import { model, targetOf } from './model-parts';

/** Offered with `CHAOS_MODELS=true`: each fails in one way. */
export const chaosModels: readonly Model[] = [
  'accept-then-drop',
  '5xx-after-accept',
  'throttle',
  'slow',
  'refuse-input',
  'refuse-output',
  'corrupt-image',
  ...Array.from({ length: 9 }, (_, index) => `flaky-${index + 1}`),
].map((name) => {
  const limits: Partial<TargetLimits> = { maxImages: 8, formats: ['png'] };
  return model(`chaos-${name}`, targetOf('chaos', `chaos-${name}`, { limits }));
});
