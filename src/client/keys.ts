import { type Connection, dataOf } from './connection';
import type { CallOptions, IssuedKey, Key, KeyRotation, NewKey, Whole } from './types';

/**
 * The keys of a user, for an operator whose token is the `apiKey`. A key that is made is shown once, so
 * `create` and `rotate` are not tried again when their answer is lost: what came of them is in `list`.
 */
export class Keys {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  list(userId: string, options: CallOptions = {}): Promise<Whole<Key>> {
    const params = { path: { id: userId } };
    return dataOf(this.#connection.http.GET('/v1/admin/users/{id}/keys', { params, ...options }));
  }

  create(userId: string, input: NewKey, options: CallOptions = {}): Promise<IssuedKey> {
    const call = this.#connection.http.POST('/v1/admin/users/{id}/keys', {
      params: { path: { id: userId } },
      body: input,
      ...options,
    });
    return dataOf(call);
  }

  /** The old key stays good for a while. */
  rotate(
    userId: string,
    id: string,
    input: KeyRotation = {},
    options: CallOptions = {},
  ): Promise<IssuedKey> {
    const call = this.#connection.http.POST('/v1/admin/users/{id}/keys/{key_id}/rotate', {
      params: { path: { id: userId, key_id: id } },
      body: input,
      ...options,
    });
    return dataOf(call);
  }

  async revoke(userId: string, id: string, options: CallOptions = {}): Promise<void> {
    const call = this.#connection.http.DELETE('/v1/admin/users/{id}/keys/{key_id}', {
      params: { path: { id: userId, key_id: id } },
      ...options,
    });
    await dataOf(call);
  }
}
