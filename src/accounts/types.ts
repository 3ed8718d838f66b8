/** Users, keys and limits as every part of Foreman speaks of them. */
import { z } from 'zod';
import type { Actor, By, Whence } from '../platform/actor';
import type { KeyId, UserId } from '../platform/ids';
import { MAX_RETENTION_HOURS } from '../requests/retention';

export type { Actor, By, KeyId, UserId, Whence };

export const scopes = ['requests:read', 'requests:write', 'admin', 'worker'] as const;
export type Scope = (typeof scopes)[number];
/** Those that open something today; the others are kept for what is to come. */
export const grantableScopes = [
  'requests:read',
  'requests:write',
  'admin',
] as const satisfies readonly Scope[];
export const DEFAULT_SCOPES: readonly Scope[] = ['requests:read', 'requests:write'];

const limit = z.number().min(0).max(1_000_000);
const wholeLimit = z.int().min(0).max(1_000_000);
const MAX_ALLOWED_MODELS = 200;

/** What one user may do. 0 means none at all; null means that there is no such limit. */
export const limitsSchema = z.strictObject({
  requests_per_minute: limit,
  burst: wholeLimit,
  max_running: wholeLimit,
  max_waiting: wholeLimit,
  images_per_day: wholeLimit,
  monthly_budget_usd: limit.nullable(),
  max_images_per_request: wholeLimit,
  max_megapixels: limit
    .nullable()
    .describe(
      'Of 1024×1024 pixels, for one image. A request is judged by the most that any target which ' +
        'can serve it may make; one whose most is not known is more than any limit',
    ),
  retention_hours: z
    .int()
    .min(1)
    .max(MAX_RETENTION_HOURS)
    .nullable()
    .describe(
      'How long images are kept, and the most that a request may ask for; null: as the service ' +
        'is set up (IMAGE_RETENTION_DAYS). It holds for requests that are accepted from then on',
    ),
  /** Ids as clients ask for them, `auto` among them. */
  allowed_models: z.array(z.string().min(1).max(100)).max(MAX_ALLOWED_MODELS).nullable(),
});
export type Limits = z.output<typeof limitsSchema>;

/** Places in `allowed_models` of names that no model has. */
export const unknownModelsAt = (
  models: Limits['allowed_models'] | undefined,
  knowsModel: (id: string) => boolean,
): number[] => (models ?? []).flatMap((id, index) => (knowsModel(id) ? [] : [index]));

/** For users that are made without limits of their own; the setting of the same name may say otherwise. */
export const DEFAULT_LIMITS: Limits = {
  requests_per_minute: 100,
  burst: 100,
  max_running: 10,
  max_waiting: 1000,
  images_per_day: 10_000,
  monthly_budget_usd: null,
  max_images_per_request: 8,
  max_megapixels: null,
  retention_hours: null,
  allowed_models: null,
};

/** The only policy that `RateLimit-Policy` names. */
export const REQUESTS_POLICY = 'requests';

export type RefusalCode =
  | 'rate_limited'
  | 'too_many_waiting'
  | 'quota_exceeded'
  | 'limit_exceeded'
  | 'model_not_allowed';

/** Why a request was not admitted, with the limit's number and its use. */
export interface Refusal {
  readonly code: RefusalCode;
  readonly limit: keyof Limits;
  readonly allowed: number | readonly string[];
  /** What counts against it now; for a cap, what was asked for. */
  readonly used: number | string;
  /** Null when waiting does not help, only another limit or another request does. */
  readonly retryAfterMs: number | null;
  readonly message: string;
}

interface CredentialBase {
  readonly userId: UserId;
  readonly from: Whence;
}

/** What a key's text proves by its MAC, before any look-up; whether it is active is not known yet. */
export interface KeyCredential extends CredentialBase {
  readonly via: 'key';
  readonly keyId: KeyId;
  /** Hex SHA-256 of the key's secret part: all that the foreman keeps of it. */
  readonly secretHash: string;
}

/** A token of another issuer, checked by its signature: valid until it expires. */
export interface TokenCredential extends CredentialBase {
  readonly via: 'token';
  readonly issuer: string;
  readonly subject: string;
  readonly scopes: readonly Scope[];
  readonly expiresAt: number;
}

/** By whose leave a ticket opens: it is good for as long as the key or the token is. */
export type Minter =
  | Pick<KeyCredential, 'via' | 'keyId'>
  | Pick<TokenCredential, 'via' | 'issuer' | 'subject' | 'scopes' | 'expiresAt'>;

/** A signed text in a URL that opens what is watched. Its own end is judged as it opens, not later. */
export interface TicketCredential extends CredentialBase {
  readonly via: 'ticket';
  readonly mintedBy: Minter;
}

/**
 * An app that its user has let in, by an access token of ours: what the two agreed on, for as long as
 * the key it was agreed with is good.
 */
export interface GrantCredential extends CredentialBase {
  readonly via: 'grant';
  readonly grantId: string;
  readonly clientId: string;
  readonly scopes: readonly Scope[];
  /** Of the access token, epoch ms. */
  readonly expiresAt: number;
  readonly mintedBy: Pick<KeyCredential, 'via' | 'keyId'>;
}

/** A rotation of a webhook secret, as its `Idempotency-Key` is remembered: without the secret. */
export interface KeyedRotation {
  readonly key: string;
  readonly overlapMs: number;
  readonly at: number;
}

export type Credential = KeyCredential | TokenCredential | TicketCredential | GrantCredential;

/** The key or the token with which all is done that this credential does. */
export const holderOf = (credential: Credential): Minter =>
  'mintedBy' in credential ? credential.mintedBy : credential;

/** Whose a token is, by a name that no other issuer can give: of a user, and on record. */
export const externalIdOf = ({ issuer, subject }: Pick<TokenCredential, 'issuer' | 'subject'>) =>
  `${issuer}|${subject}`;

export interface KeyRecord {
  readonly id: KeyId;
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly secretHash: string;
  readonly macVersion: number;
  readonly createdAt: number;
  /** Refused from then on; null: never. */
  readonly expiresAt: number | null;
  readonly revokedAt: number | null;
  /** To within ten minutes, and reads that trust a verdict may go unnoticed; null: never. */
  readonly lastUsedAt: number | null;
  /** The key that this one was made to replace. */
  readonly replaces: KeyId | null;
}

/** Where Cloudflare may place a user's foreman; a hint, taken once. */
export const regions = [
  'wnam',
  'enam',
  'sam',
  'weur',
  'eeur',
  'apac',
  'oc',
  'afr',
  'me',
] as const satisfies readonly DurableObjectLocationHint[];
export type Region = (typeof regions)[number];
/** The others reach beyond the European Union, and would say nothing of a user that is kept in it. */
export const regionsInUnion = ['weur', 'eeur'] as const satisfies readonly Region[];

/** `suspended`: keys refuse, and nothing more is started. `deleting`: for good. */
export const accountStatuses = ['active', 'suspended', 'deleting'] as const;
export type AccountStatus = (typeof accountStatuses)[number];

export interface Account {
  readonly userId: UserId;
  readonly name: string;
  /** The operator's own name of the user, or `<issuer>|<subject>` of one who signs in; unique. */
  readonly externalId: string | null;
  readonly region: Region | null;
  readonly limits: Limits;
  readonly status: AccountStatus;
  readonly createdAt: number;
  readonly version: number;
}

/** What a credential that passed may do. */
export interface Grant {
  readonly scopes: readonly Scope[];
  readonly name: string;
  /** When it will be refused; null: not by itself. */
  readonly until: number | null;
}

/** The foreman's answer to "may this key do this?". */
export type Authorization =
  | ({ readonly ok: true } & Grant)
  | { readonly ok: false; readonly code: Denial };

export type Denial = 'unauthorized' | 'forbidden' | 'account_suspended';

export type DeleteAccountMessage = z.output<typeof deleteAccountMessageSchema>;
/** Sends for somebody to go on with the deletion of a user. */
export const deleteAccountMessageSchema = z.object({
  type: z.literal('account.delete'),
  v: z.literal(1),
  user: z.custom<UserId>((value) => typeof value === 'string' && value.startsWith('usr_')),
});
