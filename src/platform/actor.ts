/** Who does something that is put on record, and where from. */
import type { KeyId } from './ids';

/** Where a call came from. */
export interface Whence {
  /** The client's address as the edge has seen it; null when nobody said. */
  readonly address: string | null;
  readonly correlationId: string;
}

/** `id`: of a key, `<issuer>|<subject>` of a token, `<key id>|<client id>` of an app let in by a key. */
export type Actor =
  | { readonly type: 'operator' | 'system'; readonly id: null }
  | { readonly type: 'key'; readonly id: KeyId }
  | { readonly type: 'token' | 'grant'; readonly id: string };

export interface By {
  readonly actor: Actor;
  readonly from: Whence;
}
