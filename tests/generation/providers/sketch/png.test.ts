import { describe, expect, it } from 'vitest';
import { crc32, encodePng } from '../../../../src/generation/providers/sketch/png';
import { readChunks, readPixels } from './read-png';

/** Three rows of two pixels, every byte different. */
const bytes = Uint8Array.from({ length: 18 }, (_, index) => index * 13);

describe('crc32', () => {
  it('gives the check value of the CRC-32 catalogue for "123456789"', () => {
    expect(crc32(new TextEncoder().encode('123456789'))).toBe(0xcbf43926);
  });

  it('gives 0 for nothing', () => {
    expect(crc32(new Uint8Array(0))).toBe(0);
  });
});

describe('encodePng', () => {
  it.each([
    ['one strip', [bytes]],
    ['a strip per row', [bytes.slice(0, 6), bytes.slice(6, 12), bytes.slice(12)]],
    ['strips of different heights', [bytes.slice(0, 12), bytes.slice(12)]],
  ])('keeps every pixel when rows come as %s', async (_, strips) => {
    const png = await encodePng({ width: 2, height: 3, strips });
    expect(await readPixels(png)).toEqual({ width: 2, height: 3, pixels: bytes });
  });

  it('lets the caller reuse one buffer for every strip', async () => {
    function* strips() {
      const buffer = new Uint8Array(6);
      for (let row = 0; row < 3; row++) {
        buffer.set(bytes.subarray(row * 6, row * 6 + 6));
        yield buffer;
      }
    }
    const png = await encodePng({ width: 2, height: 3, strips: strips() });
    expect((await readPixels(png)).pixels).toEqual(bytes);
  });

  it('writes header, data and end, each with its own checksum', async () => {
    const chunks = readChunks(await encodePng({ width: 2, height: 3, strips: [bytes] }));
    expect(chunks.map(({ type }) => type)).toEqual(['IHDR', 'IDAT', 'IEND']);
    expect([...(chunks[0]?.data ?? [])]).toEqual([0, 0, 0, 2, 0, 0, 0, 3, 8, 2, 0, 0, 0]);
  });
});
