/** The names that the generated types go by. */
import type { components, operations, paths } from './schema';

type Schemas = components['schemas'];

/** What is asked for. */
export type Submission = Omit<Schemas['Submission'], 'dry_run'>;
/** A request as Foreman answers with it; `Request` is a name of the platform's own. */
export type ForemanRequest = Schemas['Request'];
export type RequestStatus = ForemanRequest['status'];
export type Attempt = Schemas['Attempt'];
/** What a dry run answers with. */
export type Plan = Schemas['Plan'];
export type Image = Schemas['Image'];
export type ImageLink = Schemas['ImageLink'];
export type NewImageLink = Schemas['NewImageLink'];
export type Model = Schemas['Model'];
export type Me = Schemas['Me'];
export type UsagePage = Schemas['UsagePage'];
export type WebhookEndpoint = Schemas['WebhookEndpoint'];
export type WebhookEndpointWithSecret = Schemas['WebhookEndpointWithSecret'];
export type NewWebhookEndpoint = Schemas['NewWebhookEndpoint'];
export type WebhookEndpointChanges = Schemas['WebhookEndpointChanges'];
export type WebhookSecretRotation = Schemas['WebhookSecretRotation'];
export type WebhookPing = Schemas['WebhookPing'];
export type Delivery = Schemas['Delivery'];
export type Replay = Schemas['Replay'];
export type Replayed = Schemas['Replayed'];
export type Key = Schemas['Key'];
export type NewKey = Schemas['NewKey'];
export type IssuedKey = Schemas['IssuedKey'];
export type KeyRotation = Schemas['KeyRotation'];
/** RFC 9457, as every refusal is answered. */
export type Problem = Schemas['Problem'];

export type { components, operations, paths };

/** `null` in `next_cursor` on the last page. */
export interface Page<Item> {
  readonly items: Item[];
  readonly next_cursor: string | null;
}

/** A list that is whole in one answer. */
export interface Whole<Item> {
  readonly items: Item[];
}

type QueryOf<Path extends keyof paths> = paths[Path] extends {
  get: { parameters: { query?: infer Query } };
}
  ? NonNullable<Query>
  : never;

export interface RequestQuery extends QueryOf<'/v1/requests'> {
  /** Only those with these values in their metadata. */
  readonly metadata?: Readonly<Record<string, string>>;
}
export type ImageQuery = QueryOf<'/v1/images'>;
export type UsageQuery = QueryOf<'/v1/me/usage'>;
export type DeliveryQuery = QueryOf<'/v1/webhooks/{id}/deliveries'>;
export type ContentQuery = Pick<QueryOf<'/v1/images/{id}/content'>, 'width' | 'format'>;

/** Of every call. */
export interface CallOptions {
  readonly signal?: AbortSignal;
}

/** Of a call that makes something: the same key makes it once, however often it is asked for. */
export interface MakingOptions extends CallOptions {
  /** One is made for the call when left out. */
  readonly idempotencyKey?: string;
}

const ENDED: readonly RequestStatus[] = ['succeeded', 'failed', 'canceled', 'expired'];

/** Whether this is its last version. */
export const hasEnded = ({ status }: ForemanRequest): boolean => ENDED.includes(status);
