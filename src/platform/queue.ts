/**
 * What a consumer says about one message. Consumers never touch the message itself; the composition
 * carries the verdict out. A retry is only for when the foreman cannot be reached: every other wait
 * is a due time in the foreman.
 */
export type Verdict =
  | { readonly verdict: 'done' }
  | { readonly verdict: 'retry'; readonly afterSeconds: number }
  | { readonly verdict: 'dead'; readonly reason: string };

export const done: Verdict = { verdict: 'done' };
export const retryAfter = (afterSeconds: number): Verdict => ({ verdict: 'retry', afterSeconds });
export const dead = (reason: string): Verdict => ({ verdict: 'dead', reason });
