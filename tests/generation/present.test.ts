import { describe, expect, it } from 'vitest';
import { imagesOf, madeBy, withoutImage } from '../../src/generation/present';
import type { StoredImage } from '../../src/images/types';
import { reuse, settle } from '../../src/requests/lifecycle';
import { reviseOutput } from '../../src/requests/revising';
import type { Succeeded } from '../../src/requests/types';
import { NOW, queued, running, success, tryTarget } from '../support/states';

/** As an earlier version stored it: what made it is not said. */
const image = (index: number, fields: object = {}) => ({
  id: `img_0aaaaaaaaaaaaaaaaaaaaaaaaaa_1_${index}`,
  width: 64,
  height: 48,
  mediaType: 'image/png',
  bytes: 100,
  sha256: 'ab'.repeat(32),
  seed: null,
  createdAt: NOW,
  expiresAt: NOW + 1_000,
  ...fields,
});

function endedWith(...images: object[]): Succeeded {
  const result = { ...success, output: { images } as unknown as Succeeded['output'] };
  const facts = { token: 'token-1', result, nextToken: null, decide: tryTarget };
  return settle(running('token-1', { model: 'auto' }), facts, NOW) as Succeeded;
}
const makersOf = (images: readonly StoredImage[]) =>
  images.map(({ model, provider, providerModel }) => [model, provider, providerModel]);

describe('what made an image', () => {
  it('is told by the image, and where that is old by its attempt', () => {
    const told = { model: 'auto', provider: 'fal', providerModel: 'flux' };
    expect(makersOf(imagesOf(endedWith(image(0), image(1, told))))).toEqual([
      ['auto', 'openai', 'gpt-image-1'],
      ['auto', 'fal', 'flux'],
    ]);
  });

  it('is told as far as it is known, for an old image of another request', () => {
    const { status, output, outputWarnings } = endedWith(image(0));
    const shared = { status, output, outputWarnings };
    const follower = reuse(
      queued({ model: 'auto' }),
      { from: 'req_0cccccccccccccccccccccccccc', shared },
      NOW,
    );
    expect(makersOf(imagesOf(follower))).toEqual([['auto', null, null]]);
  });
});

describe('an output without one of its images', () => {
  const whole = endedWith(image(0), image(1));
  const without = (state: Succeeded, index: number, now = NOW) =>
    withoutImage(state, { id: image(index).id, now });

  it('has the others, as they were, and says how many there were', () => {
    const output = without(whole, 0);
    expect(output).toEqual({ images: [image(1)], deleted: 1 });
    const revised = reviseOutput(whole, output as unknown as Succeeded['output'], NOW);
    expect([madeBy(whole), madeBy(revised)]).toEqual([2, 2]);
    expect(without(revised, 1)).toEqual({ images: [], deleted: 2 });
    expect(without(revised, 0)).toBeNull();
  });

  it('is none when there is no such image, or its time is over', () => {
    expect(without(whole, 2)).toBeNull();
    expect(without(whole, 0, NOW + 999)).not.toBeNull();
    expect(without(whole, 0, NOW + 1_000)).toBeNull();
  });
});
