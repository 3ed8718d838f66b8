/**
 * Settings of Foreman itself, parsed once per isolate; those of providers and models are read by
 * `generation/settings.ts`. A fault stops the start and names every setting that is wrong.
 */
import { z } from 'zod';
import { type Origins, parseOrigins } from './cors';

const secret = (name: string) =>
  z
    .string({ error: `${name} is missing; it is a secret of 32 characters or more` })
    .min(32, `${name} must have 32 characters or more`);

export const flag = z
  .enum(['true', 'false'], { error: 'must be "true" or "false"' })
  .transform((value) => value === 'true');

const wholeNumber = (from: number, to: number) =>
  z
    .string()
    .regex(/^\d+$/, 'must be a whole number')
    .transform(Number)
    .refine((value) => value >= from && value <= to, `must be from ${from} to ${to}`);

const httpUrl = z.url({ protocol: /^https?$/, error: 'must be an http or https URL' });

const webOrigins = z.string().transform((text, context): Origins => {
  const origins = parseOrigins(text);
  if (origins) return origins;
  const message = 'must be "*" or origins like https://app.example.com, separated by commas';
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
});

/** An empty string is how `.dev.vars` and shells spell "not set". */
const emptyAsUnset = (value: unknown) => (value === '' ? undefined : value);
export const optional = <T extends z.ZodType>(schema: T) =>
  z.preprocess(emptyAsUnset, schema.optional());

const secretNames = [
  'ADMIN_TOKEN',
  'KEY_SIGNING_SECRET',
  'LINK_SIGNING_SECRET',
  'SIGNING_SECRET',
  'SIGNING_SECRET_PREVIOUS',
] as const;
type SecretName = (typeof secretNames)[number];

function isTwin(
  settings: { readonly [Name in SecretName]?: string | undefined },
  name: SecretName,
  other: SecretName,
): boolean {
  if (settings[name] === undefined || settings[name] !== settings[other]) return false;
  // Pairs that get a secret of their own were derived from the links' before.
  const isSucceeded = settings.SIGNING_SECRET !== undefined && other === 'LINK_SIGNING_SECRET';
  return !(name === 'SIGNING_SECRET_PREVIOUS' && isSucceeded);
}

/** Changes that come at once, as when two images of a request are deleted, must meet in one place. */
const MIN_HOT_MS = 600_000;

const settingsSchema = z
  .object({
    ENVIRONMENT: z.enum(['local', 'production']),
    ADMIN_TOKEN: secret('ADMIN_TOKEN'),
    KEY_SIGNING_SECRET: secret('KEY_SIGNING_SECRET'),
    LINK_SIGNING_SECRET: secret('LINK_SIGNING_SECRET'),
    SIGNING_SECRET: optional(secret('SIGNING_SECRET')),
    SIGNING_SECRET_PREVIOUS: optional(secret('SIGNING_SECRET_PREVIOUS')),
    PUBLIC_URL: optional(httpUrl),
    CORS_ORIGINS: optional(webOrigins),
    ALLOW_LOCAL_URLS: flag,
    DETACH_CALLS: flag,
    // An attempt that starts in the 8th minute of an invocation must end well before its 15th.
    PROVIDER_TIMEOUT_MS: wholeNumber(100, 240_000),
    REQUEST_HOT_HOURS: wholeNumber(0, 720),
    IMAGE_RETENTION_DAYS: wholeNumber(1, 3650),
  })
  .superRefine((settings, context) => {
    const fault = (path: string, message: string) =>
      context.addIssue({ code: 'custom', path: [path], message });
    if (settings.ENVIRONMENT === 'production') {
      if (settings.ALLOW_LOCAL_URLS) fault('ALLOW_LOCAL_URLS', 'is for local use only');
      if (settings.DETACH_CALLS) {
        fault(
          'DETACH_CALLS',
          'is for local use only: production ends a returned consumer after 30 s',
        );
      }
    }
    for (const [index, name] of secretNames.entries()) {
      const twin = secretNames.slice(0, index).find((other) => isTwin(settings, name, other));
      if (twin) fault(name, `must differ from ${twin}`);
    }
  })
  .transform((raw) => ({
    environment: raw.ENVIRONMENT,
    adminToken: raw.ADMIN_TOKEN,
    linkSigningSecret: raw.LINK_SIGNING_SECRET,
    /** What key pairs are derived from. */
    signing: {
      secret: raw.SIGNING_SECRET ?? raw.LINK_SIGNING_SECRET,
      previous: raw.SIGNING_SECRET_PREVIOUS ?? null,
    },
    /** Origin of every link handed out; without it, the origin a request was sent to. */
    publicOrigin: raw.PUBLIC_URL ? new URL(raw.PUBLIC_URL).origin : null,
    /** Which web pages may call the API from a browser. */
    corsOrigins: raw.CORS_ORIGINS ?? [],
    allowLocalUrls: raw.ALLOW_LOCAL_URLS,
    detachCalls: raw.DETACH_CALLS,
    providerTimeoutMs: raw.PROVIDER_TIMEOUT_MS,
    requestHotMs: Math.max(MIN_HOT_MS, raw.REQUEST_HOT_HOURS * 3_600_000),
    imageRetentionMs: raw.IMAGE_RETENTION_DAYS * 86_400_000,
  }));

export type Settings = z.output<typeof settingsSchema>;

/** One line per faulty setting; values are never quoted. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
  readonly lines: readonly string[];

  constructor(lines: readonly string[]) {
    super(`Foreman's settings are wrong:\n${lines.map((line) => `  ${line}`).join('\n')}`);
    this.lines = lines;
  }
}

/** @throws SettingsError */
export function parseSettings(env: object): Settings {
  const parsed = settingsSchema.safeParse(env);
  if (parsed.success) return parsed.data;
  throw new SettingsError(faultLines(parsed.error));
}

export function faultLines(error: z.ZodError): string[] {
  return error.issues.map(({ path, message }) => {
    const name = path.join('.');
    return message.startsWith(name) ? message : `${name} ${message}`;
  });
}
