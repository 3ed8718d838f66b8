import { type Connection, dataOf, newKey } from './connection';
import type {
  CallOptions,
  Delivery,
  DeliveryQuery,
  MakingOptions,
  NewWebhookEndpoint,
  Page,
  Replay,
  Replayed,
  WebhookEndpoint,
  WebhookEndpointChanges,
  WebhookEndpointWithSecret,
  WebhookPing,
  WebhookSecretRotation,
  Whole,
} from './types';

/** `/v1/webhooks`. Every method throws `ForemanError` and `ConnectionFailed`. */
export class Endpoints {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  list(options: CallOptions = {}): Promise<Whole<WebhookEndpoint>> {
    return dataOf(this.#connection.http.GET('/v1/webhooks', { ...options }));
  }

  /** The secret is in this answer only. */
  create(
    input: NewWebhookEndpoint,
    options: MakingOptions = {},
  ): Promise<WebhookEndpointWithSecret> {
    const { idempotencyKey = newKey(), signal } = options;
    const call = this.#connection.http.POST('/v1/webhooks', {
      body: input,
      params: { header: { 'idempotency-key': idempotencyKey } },
      ...(signal && { signal }),
    });
    return dataOf(call, idempotencyKey);
  }

  get(id: string, options: CallOptions = {}): Promise<WebhookEndpoint> {
    const params = { path: { id } };
    return dataOf(this.#connection.http.GET('/v1/webhooks/{id}', { params, ...options }));
  }

  update(
    id: string,
    input: WebhookEndpointChanges,
    options: CallOptions = {},
  ): Promise<WebhookEndpoint> {
    const call = this.#connection.http.PATCH('/v1/webhooks/{id}', {
      params: { path: { id } },
      body: input,
      ...options,
    });
    return dataOf(call);
  }

  async delete(id: string, options: CallOptions = {}): Promise<void> {
    const params = { path: { id } };
    await dataOf(this.#connection.http.DELETE('/v1/webhooks/{id}', { params, ...options }));
  }

  ping(id: string, options: CallOptions = {}): Promise<WebhookPing> {
    const params = { path: { id } };
    return dataOf(this.#connection.http.POST('/v1/webhooks/{id}/ping', { params, ...options }));
  }

  /** It is pinged first, and enabled when it answers. */
  enable(id: string, options: CallOptions = {}): Promise<WebhookEndpoint> {
    const params = { path: { id } };
    return dataOf(this.#connection.http.POST('/v1/webhooks/{id}/enable', { params, ...options }));
  }

  disable(id: string, options: CallOptions = {}): Promise<WebhookEndpoint> {
    const params = { path: { id } };
    return dataOf(this.#connection.http.POST('/v1/webhooks/{id}/disable', { params, ...options }));
  }

  /** The new secret is in this answer only; the old one goes on signing beside it for a day. */
  rotateSecret(
    id: string,
    input: WebhookSecretRotation = {},
    options: MakingOptions = {},
  ): Promise<WebhookEndpointWithSecret> {
    const { idempotencyKey = newKey(), signal } = options;
    const call = this.#connection.http.POST('/v1/webhooks/{id}/rotate-secret', {
      params: { path: { id }, header: { 'idempotency-key': idempotencyKey } },
      body: input,
      ...(signal && { signal }),
    });
    return dataOf(call, idempotencyKey);
  }

  /** The log, newest first. */
  deliveries(
    id: string,
    query: DeliveryQuery = {},
    options: CallOptions = {},
  ): Promise<Page<Delivery>> {
    const call = this.#connection.http.GET('/v1/webhooks/{id}/deliveries', {
      params: { path: { id }, query },
      ...options,
    });
    return dataOf(call);
  }

  /** Sends deliveries again, with their ids and bodies. It is not tried again when its answer is lost. */
  replay(id: string, input: Replay, options: CallOptions = {}): Promise<Replayed> {
    const call = this.#connection.http.POST('/v1/webhooks/{id}/replay', {
      params: { path: { id } },
      body: input,
      ...options,
    });
    return dataOf(call);
  }
}
