/**
 * An image call of OpenAI's dialect: submitted like any other request, then waited for on the line
 * that it came by. Nothing here reaches a provider.
 */
import type { Credential } from '../accounts/types';
import type { GenerationService, SubmitInput } from '../generation/service';
import type { ImageService } from '../images/service';
import { AppError } from '../platform/errors';
import type { JsonObject } from '../platform/json';
import type { Sleep } from '../platform/patience';
import type { RequestService, Submitted } from '../requests/service';
import { isTerminal, type RequestState } from '../requests/types';
import type { PresentRequest } from '../requests/view';
import { checkStorage, completedEvents, imagesBody } from './answer';
import { type Fault, failureOf, failureOfEnd, invalidParameter } from './errors';
import { imageEvents } from './events';
import { type Ended, holdLine, type LineTiming } from './lines';
import { submitCall } from './submit';
import type { Translation } from './translate';

/** Without its files: a line is held for minutes, and they would be held as long. */
export interface ImageCall extends Omit<Translation, 'files'> {
  readonly credential: Credential;
  readonly context: SubmitInput['context'];
  /** Both: see `Call`. */
  readonly retries: number | null;
  readonly hungUp: AbortSignal;
}

export interface OpenAiDeps {
  readonly generation: Pick<GenerationService, 'submit'>;
  readonly requests: Pick<RequestService, 'awaitEnd' | 'get'>;
  readonly images: Pick<ImageService, 'keepUpload' | 'open' | 'describe'>;
  readonly present: PresentRequest;
  /** What there is to tell of a fault, as on every other surface. */
  readonly explain: (fault: unknown, correlationId: string) => Fault;
  /** Puts a header on the answer, whatever becomes of it. */
  readonly note: (headers: Readonly<Record<string, string>>) => void;
  readonly timing: LineTiming;
  readonly sleep: Sleep;
  readonly now: () => number;
}

/** @throws AppError for a call that is not accepted. */
export async function answerCall(call: ImageCall, deps: OpenAiDeps): Promise<Response> {
  const submitted = await submitCall(call, deps);
  deps.note({
    'X-Foreman-Request-Id': submitted.state.id,
    ...(submitted.replayed ? { 'Idempotent-Replayed': 'true' } : {}),
  });
  const { wanted } = call;
  const leaving = new AbortController();
  const hungUp = AbortSignal.any([call.hungUp, leaving.signal]);
  const line = { ...deps.timing, onLeft: () => leaving.abort() };
  if (!wanted.isStreamed) return holdLine(end({ ...call, hungUp }, submitted, deps), line);
  const awaitEnd: Parameters<typeof imageEvents>[0]['awaitEnd'] = (onPreview) =>
    end({ ...call, hungUp }, submitted, deps, (preview) => {
      if (preview.index < wanted.partialImages) onPreview(preview);
    });
  return imageEvents({ wanted, awaitEnd, now: deps.now }, line);
}

/**
 * Fields of the submission that name what was stored.
 * @throws AppError `invalid_request`, and as `ImageService.keepUpload`.
 */
export async function keepFiles(
  { credential: { userId }, files }: Pick<ImageCall, 'credential'> & Pick<Translation, 'files'>,
  { images, now }: Pick<OpenAiDeps, 'images' | 'now'>,
): Promise<JsonObject> {
  const ids: JsonObject = {};
  // One after the other: each may be held a second time meanwhile.
  for (const [name, file] of Object.entries(files)) {
    const image = { body: file.stream(), length: file.size };
    const kept = await images.keepUpload({ userId, image, now: now() });
    if (kept.outcome === 'invalid')
      throw invalidParameter(name, `is no valid image: ${kept.reason}`);
    ids[name] = kept.image.id;
  }
  return ids;
}

/** Between two looks at a request that cannot be watched, as its foreman is away or restarts. */
const LOOK_AGAIN_MS = 1_000;

type AwaitEnd = Parameters<RequestService['awaitEnd']>[0];

/**
 * The request once it has ended, the time is over or the client has hung up.
 * @throws AppError for a credential that may not read any more.
 */
async function lastState(
  { credential, hungUp }: ImageCall,
  submitted: Submitted,
  { requests, timing, now, sleep }: OpenAiDeps,
  onPreview: AwaitEnd['onPreview'],
): Promise<RequestState> {
  const { id } = submitted.state;
  const until = now() + timing.holdMs;
  const isOver = (state: RequestState) => isTerminal(state) || hungUp.aborted || now() >= until;
  for (;;) {
    const holding = { ms: Math.max(0, until - now()), hungUp, ...(onPreview ? { onPreview } : {}) };
    const { state } = await requests.awaitEnd({ credential, submitted, ...holding });
    if (isOver(state)) return state;
    const read = await requests.get({ credential, id }).catch((fault: unknown) => {
      if (fault instanceof AppError && fault.code !== 'unavailable') throw fault;
      return submitted;
    });
    if (isOver(read.state)) return read.state;
    await sleep(LOOK_AGAIN_MS, hungUp);
  }
}

/** Never rejects: from here on whatever goes wrong is told on the line. */
async function end(
  call: ImageCall,
  submitted: Submitted,
  deps: OpenAiDeps,
  onPreview?: AwaitEnd['onPreview'],
): Promise<Ended> {
  const { credential, wanted } = call;
  try {
    const state = await lastState(call, submitted, deps, onPreview);
    if (state.status !== 'succeeded') return { outcome: 'failure', failure: failureOfEnd(state) };
    const asked = { state, viewer: credential.userId, wanted };
    await checkStorage(asked, deps);
    const text = wanted.isStreamed ? completedEvents(asked, deps) : imagesBody(asked, deps);
    return { outcome: 'images', text };
  } catch (fault) {
    return {
      outcome: 'failure',
      failure: failureOf(deps.explain(fault, call.context.correlationId)),
    };
  }
}
