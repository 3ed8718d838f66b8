/** Whose tokens open Foreman besides its own keys: an issuer of JWTs, Cloudflare Access, or neither. */
import { z } from 'zod';
import { faultLines, flag, optional, SettingsError } from '../../platform/config';

export interface TrustedIssuer {
  /** `iss`, character by character. */
  readonly issuer: string;
  /** `aud` has to name one of these. */
  readonly audiences: readonly string[];
  /** Null: the issuer's discovery document says. */
  readonly keysUrl: string | null;
}

export interface SignInSettings {
  /** Of tokens in `Authorization`. */
  readonly bearer: TrustedIssuer | null;
  /** Of tokens that Cloudflare Access puts before the Worker. */
  readonly access: TrustedIssuer | null;
  /** Whether a subject without a user gets one. */
  readonly createUsers: boolean;
  readonly allowLocal: boolean;
}

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/** Keys that come over a line that others can write to are nobody's. */
export function isTrustworthyUrl(text: string, allowLocal: boolean): boolean {
  if (/\s/.test(text) || !URL.canParse(text)) return false;
  const { protocol, hostname, username, password } = new URL(text);
  if (username !== '' || password !== '') return false;
  return protocol === 'https:' || (protocol === 'http:' && allowLocal && LOOPBACK.test(hostname));
}

const audiences = z
  .string()
  .transform((text) => text.split(',').map((audience) => audience.trim()))
  .refine((list) => list.every((audience) => audience !== ''), 'must be names, comma separated');

const domain = z
  .string()
  .regex(/^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$/, 'must be a domain, without https://');

const settingsSchema = z
  .object({
    ENVIRONMENT: z.string().optional(),
    ALLOW_LOCAL_URLS: z.string().optional(),
    JWT_ISSUER: optional(z.string()),
    JWT_AUDIENCE: optional(audiences),
    JWT_JWKS_URL: optional(z.string()),
    JWT_CREATE_USERS: optional(flag),
    ACCESS_TEAM_DOMAIN: optional(domain),
    ACCESS_AUDIENCE: optional(audiences),
  })
  .transform((raw, context): SignInSettings => {
    const fault = (path: keyof typeof raw, message: string) =>
      context.addIssue({ code: 'custom', path: [path], message });
    const allowLocal = raw.ENVIRONMENT !== 'production' && raw.ALLOW_LOCAL_URLS === 'true';
    for (const name of ['JWT_ISSUER', 'JWT_JWKS_URL'] as const) {
      const url = raw[name];
      if (url !== undefined && !isTrustworthyUrl(url, allowLocal)) fault(name, 'must be https');
    }
    if (/[?#]/.test(raw.JWT_ISSUER ?? '')) fault('JWT_ISSUER', 'must have no query');
    for (const [name, needed] of needs) {
      if (raw[name] !== undefined && raw[needed] === undefined) {
        fault(needed, `is missing: ${name} needs it`);
      }
    }
    if (raw.JWT_CREATE_USERS && !raw.JWT_ISSUER && !raw.ACCESS_TEAM_DOMAIN) {
      fault('JWT_CREATE_USERS', 'needs JWT_ISSUER or ACCESS_TEAM_DOMAIN');
    }
    const { JWT_ISSUER: issuer, JWT_AUDIENCE, ACCESS_TEAM_DOMAIN: team, ACCESS_AUDIENCE } = raw;
    const access = `https://${team}`;
    return {
      bearer:
        issuer !== undefined && JWT_AUDIENCE
          ? { issuer, audiences: JWT_AUDIENCE, keysUrl: raw.JWT_JWKS_URL ?? null }
          : null,
      access:
        team !== undefined && ACCESS_AUDIENCE
          ? {
              issuer: access,
              audiences: ACCESS_AUDIENCE,
              keysUrl: `${access}/cdn-cgi/access/certs`,
            }
          : null,
      createUsers: raw.JWT_CREATE_USERS ?? false,
      allowLocal,
    };
  });

/** An issuer without an audience would let in whoever has a token of it for any other service. */
const needs = [
  ['JWT_ISSUER', 'JWT_AUDIENCE'],
  ['JWT_AUDIENCE', 'JWT_ISSUER'],
  ['JWT_JWKS_URL', 'JWT_ISSUER'],
  ['ACCESS_TEAM_DOMAIN', 'ACCESS_AUDIENCE'],
  ['ACCESS_AUDIENCE', 'ACCESS_TEAM_DOMAIN'],
] as const;

/** @throws SettingsError */
export function readSignInSettings(env: object): SignInSettings {
  const parsed = settingsSchema.safeParse(env);
  if (parsed.success) return parsed.data;
  throw new SettingsError(faultLines(parsed.error));
}
