/** Users, keys and limits as every part of Foreman speaks of them. */
import { z } from 'zod';
import type { KeyId, UserId } from '../platform/ids';

export type { KeyId, UserId };

export const scopes = ['requests:read', 'requests:write', 'admin', 'worker'] as const;
export type Scope = (typeof scopes)[number];
/** Those that open something today; the others are kept for what is to come. */
export const grantableScopes = [
  'requests:read',
  'requests:write',
] as const satisfies readonly Scope[];
export const DEFAULT_SCOPES: readonly Scope[] = ['requests:read', 'requests:write'];

const limit = z.number().min(0).max(1_000_000);
const wholeLimit = z.int().min(0).max(1_000_000);

/** What one user may do. 0 means none at all; `monthly_budget_usd: null` means no budget is set. */
export const limitsSchema = z.strictObject({
  requests_per_minute: limit,
  burst: wholeLimit,
  max_running: wholeLimit,
  max_waiting: wholeLimit,
  images_per_day: wholeLimit,
  monthly_budget_usd: limit.nullable(),
});
export type Limits = z.output<typeof limitsSchema>;

/** Why a request was not admitted, with the limit's number and its use. */
export interface Refusal {
  readonly code: 'rate_limited' | 'too_many_waiting' | 'quota_exceeded';
  readonly limit: keyof Limits;
  readonly allowed: number;
  readonly used: number;
  /** Null when waiting does not help, only another limit does. */
  readonly retryAfterMs: number | null;
  readonly message: string;
}

export const DEFAULT_LIMITS: Limits = {
  requests_per_minute: 100,
  burst: 100,
  max_running: 10,
  max_waiting: 1000,
  images_per_day: 10_000,
  monthly_budget_usd: null,
};

/** What a key's text proves by its MAC, before any look-up; whether it is active is not known yet. */
export interface Credential {
  readonly userId: UserId;
  readonly keyId: KeyId;
  /** Hex SHA-256 of the key's secret part: all that the foreman keeps of it. */
  readonly secretHash: string;
}

export interface KeyRecord {
  readonly id: KeyId;
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly secretHash: string;
  readonly macVersion: number;
  readonly createdAt: number;
  readonly revokedAt: number | null;
}

export interface Account {
  readonly userId: UserId;
  readonly name: string;
  readonly limits: Limits;
  readonly createdAt: number;
  readonly version: number;
}

/** The foreman's answer to "may this key do this?". */
export type Authorization =
  | { readonly ok: true; readonly scopes: readonly Scope[]; readonly name: string }
  | { readonly ok: false; readonly code: 'unauthorized' | 'forbidden' };
