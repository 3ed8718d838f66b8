import { describe, expect, it } from 'vitest';
import { inspectImage } from '../../src/images/inspect';
import { MAX_IMAGE_BYTES } from '../../src/images/types';

const decode = (base64: string) => Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
const encode = (text: string) => new TextEncoder().encode(text);
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
      changed[6] = width & 0xff;
      changed[7] = width >> 8;
      return changed;
    };
    expect(inspectImage(sized(16_384)).ok).toBe(true);
    expect(reasonFor(sized(16_385))).toMatch(/^it is 16385×2 pixels/);
    expect(reasonFor(sized(0))).toMatch(/^it is 0×2 pixels/);
  });

  it('refuses a JPEG made of countless segments without taking seconds over it', () => {
    const segment = new Uint8Array([0xff, 0xe0, 0x00, 0x02]);
    const many = new Uint8Array(40_000 * 4).map((_, index) => segment[index % 4] ?? 0);
    expect(reasonFor(join(jpeg.slice(0, 2), many, jpeg.slice(2)))).toMatch(/too many segments/);
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

  it('refuses more than 20 MB before looking at them', () => {
    const large = new Uint8Array(MAX_IMAGE_BYTES + 1);
    large.set(png);
    expect(reasonFor(large)).toMatch(/^it has 20971521 bytes/);
  });
});
