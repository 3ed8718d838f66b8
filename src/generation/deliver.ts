/** From a provider's images to stored ones, or to the reason why there are none. */
import type { ImageService } from '../images/service';
import type { JsonObject } from '../platform/json';
import type { AttemptResult, Running } from '../requests/types';
import { priceOf, sizeFor } from './candidates';
import type { Target } from './catalog';
import {
  INVALID_OUTPUT,
  notStored,
  noValidImage,
  OUTPUT_UNAVAILABLE,
  outputNotFetched,
} from './failures';
import { STORAGE_FAILED } from './plan';
import type { ProviderSuccess } from './providers/provider';
import type { GenerationInput, GenerationOutput } from './types';

export interface DeliveryDeps {
  readonly images: Pick<ImageService, 'store'>;
  /** For a request that was admitted before it said so itself. */
  readonly imageRetentionMs: number;
  /** When the invocation has to be done: what it still holds then is lost. */
  readonly endBefore: number;
  readonly now: () => number;
}

export interface Delivery {
  readonly state: Running;
  /** Aborted when the attempt is no longer the current one. */
  readonly stale: AbortSignal;
  /** Null when it has left the catalogue: its price is what was reserved. */
  readonly target: Target | null;
  readonly input: GenerationInput;
  readonly answer: ProviderSuccess;
}

export async function deliver(of: Delivery, deps: DeliveryDeps): Promise<AttemptResult> {
  const { state, stale, input, answer } = of;
  const { provider, model: providerModel } = state.current;
  const { providerRequestId } = answer;
  const until = Math.min(state.deadlineAt, deps.endBefore);
  const untilTheEnd = AbortSignal.timeout(Math.max(1, until - deps.now()));
  const kept = await deps.images.store({
    requestId: state.id,
    attempt: state.current.number,
    userId: state.userId,
    maker: { model: state.model, provider, providerModel },
    images: answer.images.slice(0, input.n),
    retentionMs: state.retentionMs ?? deps.imageRetentionMs,
    now: deps.now(),
    signal: AbortSignal.any([untilTheEnd, stale]),
  });
  switch (kept.outcome) {
    case 'invalid':
      return noValidImage(kept.reason, providerRequestId);
    case 'unavailable':
      return outputNotFetched(kept.reason, providerRequestId);
    case 'given_up':
      return notStored(providerRequestId);
    case 'stored':
      break;
  }
  const output: GenerationOutput = { images: kept.images };
  return {
    outcome: 'succeeded',
    output: output as unknown as JsonObject,
    costMicros: answer.costMicros ?? costOf(of, kept.images.length),
    providerRequestId,
    warnings: [...answer.warnings, ...deviations(of, kept.images)],
  };
}

const costOf = ({ target, input, state }: Delivery, images: number) =>
  target ? priceOf(target, input) * images : state.current.reservedMicros;

/** Whether an attempt that ended like this may have left images behind. */
export const mayHaveStored = (code: string) =>
  code === STORAGE_FAILED || code === INVALID_OUTPUT || code === OUTPUT_UNAVAILABLE;

/** What came is kept, but not in silence. */
function deviations(
  { state, target, input, answer }: Delivery,
  stored: GenerationOutput['images'],
): string[] {
  const warnings: string[] = [];
  const { provider } = state.current;
  const asked = target && sizeFor(target, input);
  const other = asked
    ? stored.find((image) => image.width !== asked.width || image.height !== asked.height)
    : undefined;
  if (asked && other) {
    warnings.push(
      `asked for ${asked.width}x${asked.height}, ${provider} made ${other.width}x${other.height}`,
    );
  }
  const made = answer.images.length;
  if (made !== input.n) {
    warnings.push(`asked for ${input.n} image(s), ${provider} made ${made}`);
  }
  const format = input.output_format;
  const odd = format && stored.find((image) => image.mediaType !== `image/${format}`);
  if (odd) warnings.push(`asked for ${format}, ${provider} made ${odd.mediaType}`);
  return warnings;
}
