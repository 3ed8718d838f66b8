/** The form of an entry in `calls.ts`. */
import type { Credential, Grant, Scope } from '../accounts/types';
import type { Desk } from './desk';

/** Safe to make twice with the same input: a call whose answer got lost is made again. */
export interface ClientCall<Input, Answer> {
  readonly scope: Scope;
  readonly run: (
    desk: Desk,
    input: Input & { readonly credential: Credential },
    /** What the credential was found good for. */
    grant: Grant,
  ) => Answer;
}

export function clientCall<Answer, Input = object>(
  scope: Scope,
  run: ClientCall<Input, Answer>['run'],
): ClientCall<Input, Answer> {
  return { scope, run };
}
