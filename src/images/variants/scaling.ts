/** Pixels, four bytes each (red, green, blue, alpha), as the codec has them. */
import type { PixelSize } from '../formats';

const CHANNELS = 4;

/**
 * Smaller by the mean of what falls into each pixel, which neither blurs nor leaves steps. Colours
 * count by their alpha, so that what is transparent does not bleed into edges.
 */
export function shrink(
  pixels: Uint8Array,
  from: PixelSize,
  to: PixelSize,
): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(to.width * to.height * CHANNELS);
  const columns = sharesOf(from.width, to.width);
  const rows = sharesOf(from.height, to.height);
  let sums = new Float32Array(to.width * CHANNELS);
  let next = new Float32Array(to.width * CHANNELS);
  const line = new Float32Array(to.width * CHANNELS);
  for (let y = 0; y < from.height; y += 1) {
    line.fill(0);
    shrinkRow(pixels.subarray(y * from.width * CHANNELS), line, columns);
    const target = rows.target[y] ?? 0;
    addTo(sums, line, rows.share[y] ?? 0);
    addTo(next, line, rows.rest[y] ?? 0);
    if (rows.target[y + 1] === target) continue;
    writeRow(sums, out.subarray(target * to.width * CHANNELS));
    [sums, next] = [next, sums];
    next.fill(0);
  }
  return out;
}

/** For each of `from` pixels in line: where it falls, with how much, and how much falls into the next. */
function sharesOf(from: number, to: number) {
  const step = to / from;
  const target = new Uint32Array(from);
  const share = new Float32Array(from);
  const rest = new Float32Array(from);
  for (let index = 0; index < from; index += 1) {
    const start = index * step;
    // What floating point puts a hair before a border belongs behind it.
    const at = Math.min(Math.floor(start + 1e-9), to - 1);
    const inside = at === to - 1 ? step : Math.min(step, at + 1 - start);
    target[index] = at;
    share[index] = inside;
    rest[index] = step - inside;
  }
  return { target, share, rest };
}

function shrinkRow(
  row: Uint8Array,
  line: Float32Array,
  { target, share, rest }: ReturnType<typeof sharesOf>,
): void {
  for (let x = 0, at = 0; x < target.length; x += 1, at += CHANNELS) {
    const alpha = row[at + 3] ?? 0;
    const red = (row[at] ?? 0) * alpha;
    const green = (row[at + 1] ?? 0) * alpha;
    const blue = (row[at + 2] ?? 0) * alpha;
    const inside = share[x] ?? 0;
    const into = (target[x] ?? 0) * CHANNELS;
    line[into] = (line[into] ?? 0) + red * inside;
    line[into + 1] = (line[into + 1] ?? 0) + green * inside;
    line[into + 2] = (line[into + 2] ?? 0) + blue * inside;
    line[into + 3] = (line[into + 3] ?? 0) + alpha * inside;
    const outside = rest[x] ?? 0;
    if (outside === 0) continue;
    line[into + 4] = (line[into + 4] ?? 0) + red * outside;
    line[into + 5] = (line[into + 5] ?? 0) + green * outside;
    line[into + 6] = (line[into + 6] ?? 0) + blue * outside;
    line[into + 7] = (line[into + 7] ?? 0) + alpha * outside;
  }
}

function addTo(sums: Float32Array, line: Float32Array, share: number): void {
  if (share === 0) return;
  for (let at = 0; at < sums.length; at += 1) sums[at] = (sums[at] ?? 0) + (line[at] ?? 0) * share;
}

function writeRow(sums: Float32Array, out: Uint8Array): void {
  for (let at = 0; at < sums.length; at += CHANNELS) {
    const alpha = sums[at + 3] ?? 0;
    if (alpha === 0) continue;
    out[at] = Math.round((sums[at] ?? 0) / alpha);
    out[at + 1] = Math.round((sums[at + 1] ?? 0) / alpha);
    out[at + 2] = Math.round((sums[at + 2] ?? 0) / alpha);
    out[at + 3] = Math.round(alpha);
  }
}

/** In place: onto white, for a format that knows no transparency. */
export function flatten(pixels: Uint8Array): void {
  for (let at = 0; at < pixels.length; at += CHANNELS) {
    const alpha = pixels[at + 3] ?? 0;
    if (alpha === 255) continue;
    const white = 255 - alpha;
    for (let channel = at; channel < at + 3; channel += 1) {
      pixels[channel] = Math.round(((pixels[channel] ?? 0) * alpha) / 255 + white);
    }
    pixels[at + 3] = 255;
  }
}
