/**
 * Submits on behalf of clients that try again by themselves. The official ones count their tries in
 * a header and bring no key: for them the service keeps one of its own, which stands for the newest
 * call with the same body. A first try makes a new request, whatever was asked before; a repeated one
 * collects the request whose answer was lost.
 */
import type { Credential } from '../accounts/types';
import type { GenerationService, SubmitInput } from '../generation/service';
import { submissionSchema } from '../generation/submission';
import { AppError } from '../platform/errors';
import { invalidFields } from '../platform/http';
import type { JsonObject } from '../platform/json';
import { fingerprintOf } from '../requests/idempotency';
import type { Submitted } from '../requests/service';
import { isTerminal, type RequestState } from '../requests/types';
import { clientGone } from './errors';

/** No client can send a key with a line break. */
const OWN = '\nopenai:';

/**
 * A client that loses its answer tries again within the minute, and a slow line may take the images
 * for some more: what ended earlier is not the request whose answer it has lost. One that goes on,
 * or has just come to its deadline, may be however old: a client's tries may last for half an hour.
 */
const LONGEST_ANSWER_MS = 15 * 60_000;

export interface Call {
  readonly credential: Credential;
  readonly submission: JsonObject;
  readonly context: SubmitInput['context'];
  /** How often this very call was made before; null for a client that does not count. */
  readonly retries: number | null;
  readonly hungUp: AbortSignal;
}

export function readRetries(header: string | undefined): number | null {
  return header !== undefined && /^\d{1,3}$/.test(header) ? Number(header) : null;
}

/** @throws AppError as `GenerationService.submit`. */
export async function submitCall(
  call: Call,
  deps: { readonly generation: Pick<GenerationService, 'submit'>; readonly now: () => number },
): Promise<Submitted> {
  const { credential, submission: rawBody, context, retries, hungUp } = call;
  const parsed = submissionSchema.safeParse(rawBody);
  if (!parsed.success) throw invalidFields(parsed.error.issues);
  const input = { credential, body: parsed.data, rawBody };
  if (context.idempotencyKey !== null || retries === null) {
    return deps.generation.submit({ ...input, context });
  }
  const idempotencyKey = OWN + (await fingerprintOf(rawBody));
  const own = { ...input, context: { ...context, idempotencyKey } };
  const anew = () => {
    // Its repetition may be here already, and would not collect what comes behind it.
    if (hungUp.aborted) throw clientGone();
    return deps.generation.submit({ ...own, ownKey: 'renew' });
  };
  if (retries === 0) return anew();
  const collected = await deps.generation
    .submit({ ...own, ownKey: 'collect' })
    .catch((fault: unknown) => {
      // An earlier request of the same body has been deleted, lately or long ago: it was not this call's.
      if (fault instanceof AppError && /^(gone|not_found)$/.test(fault.code)) return null;
      throw fault;
    });
  if (!collected) return anew();
  return collected.replayed && isOver(collected.state, deps.now()) ? anew() : collected;
}

const isOver = (state: RequestState, now: number) =>
  isTerminal(state) && now - state.completedAt > LONGEST_ANSWER_MS;
