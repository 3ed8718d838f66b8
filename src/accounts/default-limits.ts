/** What the operator gives users that are made without limits of their own. */
import { z } from 'zod';
import { faultLines, SettingsError } from '../platform/config';
import { DEFAULT_LIMITS, type Limits, limitsSchema, unknownModelsAt } from './types';

/** An empty string is how `.dev.vars` and shells spell "not set". */
const settingsSchema = z.object({
  DEFAULT_LIMITS: z.preprocess(
    (value) => (value === '' ? undefined : value),
    z
      .string()
      .transform((text, context): unknown => {
        try {
          return JSON.parse(text);
        } catch {
          context.addIssue({ code: 'custom', message: 'must be JSON' });
          return z.NEVER;
        }
      })
      .pipe(limitsSchema.partial())
      .optional(),
  ),
});

/**
 * The built-in limits, with what the setting says instead. They are copied when a user is made: a
 * later change of the setting changes no user.
 * @throws SettingsError
 */
export function readDefaultLimits(env: object, knowsModel: (id: string) => boolean): Limits {
  const parsed = settingsSchema.safeParse(env);
  if (!parsed.success) throw new SettingsError(faultLines(parsed.error));
  const limits = { ...DEFAULT_LIMITS, ...parsed.data.DEFAULT_LIMITS };
  const unknown = unknownModelsAt(limits.allowed_models, knowsModel);
  if (unknown.length === 0) return limits;
  const setting = 'DEFAULT_LIMITS.allowed_models';
  throw new SettingsError(unknown.map((at) => `${setting}.${at} names no model that there is`));
}
