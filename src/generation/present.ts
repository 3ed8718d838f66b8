/** A generation's output as clients see it. */
import { noMaker } from '../images/types';
import { presentImage } from '../images/view';
import type { RequestState, Succeeded } from '../requests/types';
import type { PresentOutput } from '../requests/view';
import type { GenerationOutput } from './types';

export function createPresentGeneration(deps: { readonly linkSecret: string }): PresentOutput {
  return (state) => ({
    images: imagesOf(state).map((image) =>
      presentImage(image, { origin: state.origin, linkSecret: deps.linkSecret }),
    ),
  });
}

/** What made them is told by the attempt where the output, of an earlier version, does not. */
export function imagesOf(state: RequestState): GenerationOutput['images'] {
  if (state.status !== 'succeeded') return [];
  const made = state.attempts.find(({ outcome }) => outcome === 'succeeded');
  const call = made && { provider: made.provider, providerModel: made.model };
  const maker = { ...noMaker, model: state.model, ...call };
  return outputOf(state).images.map((image) => ({ ...maker, ...image }));
}

/** How many images there were at first, the deleted ones included. */
export function madeBy(state: RequestState): number {
  if (state.status !== 'succeeded') return 0;
  const { images, deleted = 0 } = outputOf(state);
  return images.length + deleted;
}

/** The output without this image; null when it has no such image, or none any more. */
export function withoutImage(
  state: Succeeded,
  { id, now }: { readonly id: string; readonly now: number },
): GenerationOutput | null {
  const { images, deleted = 0 } = outputOf(state);
  const others = images.filter((image) => image.id !== id || image.expiresAt <= now);
  if (others.length === images.length) return null;
  return { images: others, deleted: deleted + 1 };
}

/** A generation's output was written by its own consumer. */
const outputOf = ({ output }: Succeeded) => output as unknown as GenerationOutput;

/** When the first of the images goes. */
export function outputExpiresAt(state: Succeeded): number {
  return Math.min(...imagesOf(state).map((image) => image.expiresAt));
}
