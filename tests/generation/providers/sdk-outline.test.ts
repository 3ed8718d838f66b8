import { describe, expect, it } from 'vitest';
import { createOutline } from '../../../src/generation/providers/sdk-outline';

/** Sends `body` through in chunks of `chunkBytes`. */
async function pass(body: string, chunkBytes = 65_536) {
  const bytes = new TextEncoder().encode(body);
  const outline = createOutline();
  const writer = outline.passing.writable.getWriter();
  const arrived = new Response(outline.passing.readable).text();
  for (let at = 0; at < bytes.byteLength; at += chunkBytes) {
    await writer.write(bytes.subarray(at, at + chunkBytes));
  }
  await writer.close();
  return { outline, arrived: await arrived };
}

const picture = 'A'.repeat(400_000);

describe('the outline of an answer', () => {
  const whole = JSON.stringify({ images: [picture, picture], seed: 7, url: 'https://a.test/"é"' });

  it.each([1_000, 65_536, 1_000_000])('passes every byte on, in chunks of %i', async (size) => {
    expect((await pass(whole, size)).arrived).toBe(whole);
  });

  it.each([1, 7, 65_536])(
    'is the same JSON without its pictures, in chunks of %i',
    async (size) => {
      const body = JSON.stringify({ images: [picture.slice(0, 20_000)], seed: 7, name: 'é "x"' });
      const { outline } = await pass(body, size);
      expect(JSON.parse(outline.text())).toEqual({
        images: ['A'.repeat(8_192)],
        seed: 7,
        name: 'é "x"',
      });
    },
  );

  it('is a short body as it is', async () => {
    const { outline } = await pass('<html>"no"</html>');
    expect(outline.text()).toBe('<html>"no"</html>');
  });

  it('is empty while there is more to come', async () => {
    const outline = createOutline();
    const writer = outline.passing.writable.getWriter();
    const reader = outline.passing.readable.getReader();
    await Promise.all([writer.write(new TextEncoder().encode('{"seed":7}')), reader.read()]);
    expect([outline.isWhole(), outline.text()]).toEqual([false, '']);
    await Promise.all([writer.close(), reader.read()]);
    expect([outline.isWhole(), outline.text()]).toEqual([true, '{"seed":7}']);
  });

  it('is empty for a body that is large without pictures', async () => {
    const { outline } = await pass(JSON.stringify(Array.from({ length: 20_000 }, String)));
    expect([outline.isWhole(), outline.text()]).toEqual([true, '']);
  });
});
