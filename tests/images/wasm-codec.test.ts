// Which instance of the codec is used again. What it makes of real pictures is in variants.test.ts.
import { crc32, deflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { NotConvertible } from '../../src/images/variants/codec';
import { loadPhoton, type Photon, startPhoton } from '../../src/images/variants/photon';
import { withoutProfile } from '../../src/images/variants/png-profile';
import { createWasmCodec } from '../../src/images/variants/wasm-codec';
import { sleep } from '../../src/platform/patience';
import { decode, encode } from './serving';
import { pngOf } from './support';

const KEPT_BYTES = 32 * 1024 * 1024;
const size = { width: 64, height: 48 };
const sound = pngOf(100);
const broken = pngOf(101);

/** They fail at the broken image, and have this much memory afterwards. */
function instances(memoryBytes: number) {
  const started: Photon[] = [];
  const start = (): Photon => {
    const photon: Photon = {
      memoryBytes,
      decode(bytes) {
        if (bytes.length === broken.length) throw new WebAssembly.RuntimeError('unreachable');
        return { ...size, pixels: new Uint8Array(64 * 48 * 4) };
      },
      encode: () => new Uint8Array([1]),
    };
    started.push(photon);
    return photon;
  };
  const codec = createWasmCodec({ load: loadPhoton, start, sleep, now: () => Date.now() });
  const convert = (bytes: Uint8Array) =>
    codec.convert({
      from: { ...size, bytes: bytes.length },
      to: { name: 'full.jpeg', format: 'jpeg', ...size },
      open: async () => new Blob([new Uint8Array(bytes)]).stream(),
    });
  return { started, convert };
}

describe('an instance', () => {
  it('converts one image after the other', async () => {
    const { started, convert } = instances(KEPT_BYTES);
    for (let times = 0; times < 3; times += 1) await convert(sound);
    expect(started).toHaveLength(1);
  });

  it('that has grown is let go, as its memory never shrinks', async () => {
    const { started, convert } = instances(KEPT_BYTES + 1);
    await convert(sound);
    await convert(sound);
    expect(started).toHaveLength(2);
  });

  it('is let go with the image it failed at', async () => {
    const { started, convert } = instances(KEPT_BYTES);
    await convert(sound);
    await expect(convert(broken)).rejects.toThrow(NotConvertible);
    await convert(sound);
    expect(started).toHaveLength(2);
  });
});

describe('an image that says less than it holds', () => {
  const real = createWasmCodec({
    load: loadPhoton,
    start: startPhoton,
    sleep,
    now: () => Date.now(),
  });
  const convert = (bytes: Uint8Array, of: { width: number; height: number }) =>
    real.convert({
      from: { ...of, bytes: bytes.length },
      to: { name: 'full.jpeg', format: 'jpeg', ...of },
      open: async () => new Blob([new Uint8Array(bytes)]).stream(),
    });

  it('is not given to the codec, though it was stored when nobody looked', async () => {
    const picture = [0x2c, 0, 0, 0, 0, 0x40, 0x1f, 0x40, 0x1f, 0, 2, 2, 0x44, 1, 0, 0x3b];
    const screen = [...Buffer.from('GIF89a'), 16, 0, 16, 0, 0x80, 0, 0, ...Array(6).fill(9)];
    const { started, convert: convertBy } = instances(KEPT_BYTES);
    await expect(convertBy(new Uint8Array([...screen, ...picture]))).rejects.toThrow(
      NotConvertible,
    );
    expect(started).toEqual([]);
  });

  it('has its colour profile left out, which may unpack to anything', async () => {
    const [width, height] = [16, 16];
    const plain = encode({ width, height }, () => [250, 20, 10, 255]);
    const profile = chunk(
      'iCCP',
      Buffer.concat([Buffer.from('x\0\0'), deflateSync(Buffer.alloc(1e6))]),
    );
    const profiled = Buffer.concat([plain.subarray(0, 33), profile, plain.subarray(33)]);
    expect(Buffer.compare(withoutProfile(new Uint8Array(profiled)), plain)).toBe(0);
    expect(withoutProfile(plain.slice())).toEqual(plain);
    const jpeg = await convert(new Uint8Array(profiled), { width, height });
    expect(decode(jpeg)).toMatchObject({ width, height });
  });

  function chunk(type: string, data: Buffer): Buffer {
    const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    checksum.writeUInt32BE(crc32(data, crc32(type)));
    return Buffer.concat([length, Buffer.from(type), data, checksum]);
  }
});
