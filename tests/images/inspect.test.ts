import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createInspector, inspectImage } from '../../src/images/inspect';
import { MAX_IMAGE_BYTES } from '../../src/images/types';

const decode = (base64: string) => Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
const encode = (text: string) => new TextEncoder().encode(text);
const view = (bytes: Uint8Array) => new DataView(bytes.buffer);
const join = (...parts: Uint8Array[]) => new Uint8Array(parts.flatMap((part) => [...part]));

/** 3×2 pixels each, made with libvips. */
const png = decode(
  'iVBORw0KGgoAAAANSUhEUgAAAAMAAAACCAYAAACddGYaAAAACXBIWXMAAAPoAAAD6AG1e1JrAAAAEUlEQVQImWM4IRfVAMMMyBwAim4Kga5XOZwAAAAASUVORK5CYII=',
);
const jpeg = decode(
  '/9j/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6jq62rZ4C8ybqmx5moq6T/2wBDARweHigjKE4rK06kbl1upKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKT/wAARCAACAAMDASIAAhEBAxEB/8QAFQABAQAAAAAAAAAAAAAAAAAAAAX/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/8QAFQEBAQAAAAAAAAAAAAAAAAAAAAT/xAAUEQEAAAAAAAAAAAAAAAAAAAAA/9oADAMBAAIRAxEAPwCMAK3/2Q==',
);
const webpLossy = decode('UklGRioAAABXRUJQVlA4IB4AAAAwAQCdASoDAAIAB0CWJaAAA3AA/uwl3/O1bH12AAA=');
const webpLossless = decode('UklGRh4AAABXRUJQVlA4TBEAAAAvAkAAAAfQh5K1pf+BiOh/AAA=');
const webpExtended = decode(
  'UklGRk4AAABXRUJQVlA4WAoAAAAQAAAAAgAAAQAAQUxQSAcAAAAAgICAgICAAFZQOCAgAAAAMAEAnQEqAwACAAdAliWgAANwAP7gt3/8kvUn5WCIAAA=',
);
const gif = decode('R0lGODlhAwACAIAAAExpccgeWiH5BAUAAAAALAAAAAADAAIAAAICjF8AOw==');

const samples: [name: string, bytes: Uint8Array, mediaType: string][] = [
  ['PNG', png, 'image/png'],
  ['JPEG', jpeg, 'image/jpeg'],
  ['lossy WebP', webpLossy, 'image/webp'],
  ['lossless WebP', webpLossless, 'image/webp'],
  ['WebP with alpha', webpExtended, 'image/webp'],
  ['GIF', gif, 'image/gif'],
];

/** In the GIF above: where its picture goes, and its size. */
const GIF_PICTURE_AT = 28;

const reasonFor = (bytes: Uint8Array) => {
  const inspected = inspectImage(bytes);
  return inspected.ok ? 'accepted' : inspected.reason;
};

describe('inspectImage', () => {
  it.each(samples)('reads kind and size of a %s', (_name, bytes, mediaType) => {
    expect(inspectImage(bytes)).toEqual({ ok: true, mediaType, width: 3, height: 2 });
  });

  it.each(samples)('refuses a %s cut short anywhere', (_name, bytes) => {
    const accepted = [...bytes.keys()].filter((end) => inspectImage(bytes.slice(0, end)).ok);
    expect(accepted).toEqual([]);
  });

  it.each(samples)('never throws over a damaged %s', (_name, bytes) => {
    for (const at of bytes.keys()) {
      for (const value of [0x00, 0x7f, 0xd9, 0xff]) {
        const damaged = bytes.slice();
        damaged[at] = value;
        expect(() => inspectImage(damaged)).not.toThrow();
      }
    }
  });

  it('reads a view into a larger buffer', () => {
    const buffer = join(new Uint8Array(7), png, new Uint8Array(5));
    expect(inspectImage(buffer.subarray(7, 7 + png.length)).ok).toBe(true);
  });

  it('takes a JPEG with data behind its end, as cameras write it', () => {
    expect(inspectImage(join(jpeg, encode('motion photo'))).ok).toBe(true);
  });

  it('is not taken in by the end of a thumbnail inside a JPEG', () => {
    const thumbnail = join(new Uint8Array([0xff, 0xe1, 0x00, 0x06, 0xff, 0xd8, 0xff, 0xd9]));
    const whole = join(jpeg.slice(0, 2), thumbnail, jpeg.slice(2));
    expect(inspectImage(whole).ok).toBe(true);
    expect(reasonFor(whole.slice(0, -2))).toBe('it is cut short');
  });

  it('refuses a PNG whose header was changed under its checksum', () => {
    const changed = png.slice();
    changed[19] = 200;
    expect(reasonFor(changed)).toBe('it is broken: the checksum of IHDR is wrong');
  });

  it('refuses a WebP whose stated size is not its size', () => {
    expect(reasonFor(join(webpLossy, new Uint8Array(9)))).toMatch(/differs from the one it states/);
  });

  it('refuses a container without a picture in it', () => {
    const end = png.slice(-12);
    expect(reasonFor(join(png.slice(0, 33), end))).toBe('it is broken: it has no image data');
    expect(reasonFor(join(gif.slice(0, 19), new Uint8Array([0x3b])))).toMatch(/no image data/);
  });

  it('refuses sides of 0 and of more than 16384 pixels', () => {
    const sized = (width: number) => {
      const changed = gif.slice();
      for (const at of [6, GIF_PICTURE_AT + 4]) view(changed).setUint16(at, width, true);
      return changed;
    };
    expect(inspectImage(sized(16_384)).ok).toBe(true);
    expect(reasonFor(sized(16_385))).toMatch(/^it is 16385×2 pixels/);
    expect(reasonFor(sized(0))).toMatch(/^it is 0×2 pixels/);
  });

  it('refuses a WebP with a picture larger than its canvas, which a decoder would make room for', () => {
    const larger = (bytes: Uint8Array) => {
      const picture = Buffer.from(bytes).indexOf('VP8 ') + 8;
      const changed = bytes.slice();
      view(changed).setUint16(picture + 6, 16_000, true);
      return changed;
    };
    const still = webpExtended;
    const head = new Uint8Array(24);
    const pictures = still.slice(30);
    head.set(Buffer.from('ANMF'));
    view(head).setUint32(4, 16 + pictures.length, true);
    const animated = join(still.slice(0, 30), head, pictures);
    view(animated).setUint32(4, animated.length - 8, true);
    for (const bytes of [still, animated]) {
      expect(inspectImage(bytes)).toMatchObject({ ok: true, width: 3, height: 2 });
      expect(reasonFor(larger(bytes))).toBe('it is broken: a picture is larger than its canvas');
    }
  });

  it('takes a GIF for as large as its first picture reaches', () => {
    const changed = gif.slice();
    for (const [n, value] of [5, 7, 100, 200].entries()) {
      view(changed).setUint16(GIF_PICTURE_AT + 2 * n, value, true);
    }
    expect(inspectImage(changed)).toMatchObject({ ok: true, width: 105, height: 207 });
  });

  it('refuses a JPEG of more scans than any encoder writes', () => {
    const scan = Buffer.from(jpeg).indexOf(Buffer.from([0xff, 0xda]));
    const end = jpeg.length - 2;
    const withScans = (count: number) =>
      join(jpeg.slice(0, scan), ...Array(count).fill(jpeg.slice(scan, end)), jpeg.slice(end));
    expect(inspectImage(withScans(500)).ok).toBe(true);
    expect(reasonFor(withScans(501))).toBe('it is broken: it has too many scans');
  });

  it('refuses an image made of countless parts without taking seconds over it', () => {
    const extension = new Uint8Array([0x21, 0x01, 0x00]);
    const many = new Uint8Array(200_000 * 3).map((_, index) => extension[index % 3] ?? 0);
    expect(reasonFor(join(gif.slice(0, 19), many, gif.slice(19)))).toMatch(/too many parts/);
  });

  it('takes markers behind fill bytes, in a scan and between segments', () => {
    const eoi = jpeg.length - 2;
    const fill = new Uint8Array(100).fill(0xff);
    expect(inspectImage(join(jpeg.slice(0, 2), fill, jpeg.slice(2))).ok).toBe(true);
    expect(inspectImage(join(jpeg.slice(0, eoi), fill, jpeg.slice(eoi))).ok).toBe(true);
  });

  const strangers: [name: string, bytes: Uint8Array, reason: RegExp][] = [
    ['nothing', new Uint8Array(), /^it is empty$/],
    ['an HTML page', encode('\n<!DOCTYPE html><html>'), /^it is an HTML page, not a PNG/],
    ['a bare HTML page', encode('<html><body>'), /^it is an HTML page/],
    ['JSON', encode('{"error":"no"}'), /^it is JSON, not/],
    ['an SVG', encode('<?xml version="1.0"?><svg xmlns="x">'), /^it is an SVG document/],
    ['XML', encode('<?xml version="1.0"?><Error>'), /^it is an XML document/],
    ['a BMP', encode('BM not supported'), /^it is of an unknown kind/],
    ['a lone signature', png.slice(0, 8), /^it is cut short$/],
  ];
  it.each(strangers)('calls %s what it is', (_name, bytes, reason) => {
    expect(reasonFor(bytes)).toMatch(reason);
  });

  it('takes 20 MB and not a byte more', () => {
    const large = new Uint8Array(MAX_IMAGE_BYTES);
    large.set(png);
    expect(inspectImage(large).ok).toBe(true);
    expect(reasonFor(new Uint8Array(MAX_IMAGE_BYTES + 1))).toBe('it has more than 20971520 bytes');
  });
});

/** Cuts at random places, an empty piece among them now and then. */
const pieces = (bytes: Uint8Array) =>
  fc
    .array(fc.nat(bytes.length), { maxLength: 12 })
    .map((cuts) => [0, ...cuts.toSorted((a, b) => a - b), bytes.length])
    .map((cuts) => cuts.slice(1).map((end, index) => bytes.slice(cuts[index], end)));

const inspectPieces = (chunks: readonly Uint8Array[]) => {
  const inspector = createInspector();
  for (const chunk of chunks) {
    const refused = inspector.push(chunk);
    if (refused) return refused;
  }
  return inspector.end();
};

describe('an image that comes in pieces', () => {
  it.each(samples)('is judged like the whole, however a %s is cut', (_name, bytes) => {
    fc.assert(
      fc.property(pieces(bytes), (chunks) => {
        expect(inspectPieces(chunks)).toEqual(inspectImage(bytes));
      }),
    );
  });

  it.each(samples)('is refused when a %s is cut short, at every byte', (_name, bytes) => {
    for (const end of bytes.keys()) {
      const short = bytes.slice(0, end);
      expect(inspectPieces([...short].map((byte) => new Uint8Array([byte]))).ok).toBe(false);
    }
  });

  it.each(samples)('is judged like the whole when a %s is damaged', (_name, bytes) => {
    const damage = fc.record({ at: fc.nat(bytes.length - 1), value: fc.nat(255) });
    const damaged = damage.chain(({ at, value }) => pieces(bytes.with(at, value)));
    fc.assert(
      fc.property(damaged, (chunks) => {
        expect(inspectPieces(chunks)).toEqual(inspectImage(join(...chunks)));
      }),
    );
  });

  it('is refused at once for what no later byte can mend', () => {
    const inspector = createInspector();
    expect(inspector.push(encode(`<!doctype html>${' '.repeat(600)}`))).toMatchObject({
      ok: false,
    });
    expect(inspector.push(png)).toMatchObject({ reason: expect.stringContaining('HTML page') });
    expect(inspector.end()).toMatchObject({ ok: false });
  });
});

describe('dimensions', () => {
  const side = fc.integer({ min: 1, max: 16_383 });
  const encoders: [name: string, resize: (width: number, height: number) => Uint8Array][] = [
    [
      'JPEG',
      (width, height) => {
        const bytes = jpeg.slice();
        const frame = Buffer.from(bytes).indexOf(Buffer.from([0xff, 0xc0]));
        view(bytes).setUint16(frame + 5, height);
        view(bytes).setUint16(frame + 7, width);
        return bytes;
      },
    ],
    [
      'lossy WebP',
      (width, height) => {
        const bytes = webpLossy.slice();
        view(bytes).setUint16(26, width, true);
        view(bytes).setUint16(28, height, true);
        return bytes;
      },
    ],
    [
      'lossless WebP',
      (width, height) => {
        const bytes = webpLossless.slice();
        const rest = view(bytes).getUint32(21, true) & 0xf0000000;
        view(bytes).setUint32(21, (rest | ((height - 1) << 14) | (width - 1)) >>> 0, true);
        return bytes;
      },
    ],
    [
      'WebP with alpha',
      (width, height) => {
        const bytes = webpExtended.slice();
        bytes.set([(width - 1) & 0xff, (width - 1) >> 8, 0], 24);
        bytes.set([(height - 1) & 0xff, (height - 1) >> 8, 0], 27);
        const picture = Buffer.from(bytes).indexOf('VP8 ') + 8;
        view(bytes).setUint16(picture + 6, width, true);
        view(bytes).setUint16(picture + 8, height, true);
        return bytes;
      },
    ],
    [
      'GIF',
      (width, height) => {
        const bytes = gif.slice();
        for (const at of [6, GIF_PICTURE_AT + 4]) {
          view(bytes).setUint16(at, width, true);
          view(bytes).setUint16(at + 2, height, true);
        }
        return bytes;
      },
    ],
  ];
  it.each(encoders)('of any %s are the ones it was made with', (_name, resize) => {
    fc.assert(
      fc.property(side, side, (width, height) => {
        expect(inspectImage(resize(width, height))).toMatchObject({ ok: true, width, height });
      }),
    );
  });
});
