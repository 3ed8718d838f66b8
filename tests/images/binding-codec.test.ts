// What guards the isolate against the service: there is no binding of it here, so a hand-made one.
import { describe, expect, it } from 'vitest';
import { createBindingCodec } from '../../src/images/variants/binding-codec';
import { TooLargeToConvert } from '../../src/images/variants/codec';
import { bodyOf } from './support';

/** Answers with these bytes, whatever it is asked for. */
function answering(bytes: Uint8Array) {
  const { body, state } = bodyOf(bytes);
  const result = { image: () => body };
  const transformer = { transform: () => ({ output: async () => result }) };
  return { binding: { input: () => transformer } as unknown as ImagesBinding, state };
}

const conversion = (width: number, height: number) => ({
  from: { width, height, bytes: 100 },
  to: { name: 'full.png', format: 'png' as const, width, height },
  open: async () => new Blob(['an image']).stream(),
});

const MAX_BYTES = 20 * 1024 * 1024;

describe('the binding', () => {
  it.each([
    [10_000, 10_000],
    [12_000, 8_333],
  ])('converts an image of %s×%s', async (width, height) => {
    const { binding } = answering(new Uint8Array([1, 2, 3]));
    const copy = await createBindingCodec(binding).convert(conversion(width, height));
    expect([...copy]).toEqual([1, 2, 3]);
  });

  it.each([
    [10_000, 10_001],
    [12_001, 1],
    [1, 12_001],
  ])('is not asked for one of %s×%s', async (width, height) => {
    const { binding, state } = answering(new Uint8Array([1, 2, 3]));
    const converted = createBindingCodec(binding).convert(conversion(width, height));
    await expect(converted).rejects.toThrow(TooLargeToConvert);
    expect(state.given).toBe(0);
  });

  it('has a copy taken from it up to 20 MiB, and no more is read of a larger one', async () => {
    const whole = answering(new Uint8Array(MAX_BYTES));
    const copy = await createBindingCodec(whole.binding).convert(conversion(4_000, 4_000));
    expect(copy.byteLength).toBe(MAX_BYTES);
    const large = answering(new Uint8Array(MAX_BYTES + 200_000));
    const converted = createBindingCodec(large.binding).convert(conversion(4_000, 4_000));
    await expect(converted).rejects.toThrow(TooLargeToConvert);
    expect(large.state).toEqual({ given: MAX_BYTES + 65_536, cancelled: true });
  });
});
