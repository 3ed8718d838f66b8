// How long the codec of the Worker takes in workerd for a thumbnail and for another format; the
// figures in docs/decisions/0022-variants.md come from here.
//
//   npm run bench:variants
import { readFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';

const ROUNDS = 7;
const SIZES = [1024, 2048];
const CONVERSIONS = [
  ['png', 256, 'webp'],
  ['png', 256, 'jpeg'],
  ['jpeg', 256, 'jpeg'],
  ['webp', 256, 'webp'],
  ['png', 1024, 'jpeg'],
  ['png', 0, 'jpeg'],
  ['png', 0, 'webp'],
  ['jpeg', 0, 'png'],
] as const;
const WASM = 'photon.wasm';

/** The codec alone, one conversion a request; soft shapes with some grain compress like photographs. */
const WORKER = `
import { loadPhoton, startPhoton } from './photon';
import { createWasmCodec } from './wasm-codec';

const codec = createWasmCodec({ load: loadPhoton, start: startPhoton, sleep: async () => {}, now: () => 0 });

export default {
  async fetch(request) {
    const { pathname, searchParams } = new URL(request.url);
    const [size, width] = ['size', 'width'].map((name) => Number(searchParams.get(name)));
    const format = searchParams.get('format');
    if (pathname === '/draw') return new Response(await draw(size, format));
    const bytes = await request.bytes();
    if (pathname === '/nothing') return new Response(bytes.subarray(0, 10));
    const converted = await codec.convert({
      from: { width: size, height: size, bytes: bytes.length },
      to: { name: '', format, width, height: width },
      open: async () => new Response(bytes).body,
    });
    return new Response(converted);
  },
};

async function draw(size, format) {
  const pixels = new Uint8Array(size * size * 4);
  let seed = 1;
  for (let at = 0; at < pixels.length; at += 4) {
    const x = (at / 4) % size;
    const y = Math.floor(at / 4 / size);
    seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
    const grain = (seed >>> 24) & 15;
    [9 * x, 7 * y, 5 * (x + y)].forEach((wave, channel) => {
      pixels[at + channel] = 120 + 100 * Math.sin(wave / size) + grain;
    });
    pixels[at + 3] = 255;
  }
  return startPhoton(await loadPhoton()).encode({ pixels, width: size, height: size }, format, 92);
}
`;

async function start(): Promise<Miniflare> {
  const bundled = await build({
    stdin: {
      contents: WORKER,
      resolveDir: fileURLToPath(new URL('../../src/images/variants', import.meta.url)),
    },
    bundle: true,
    write: false,
    format: 'esm',
    external: ['cloudflare:*', 'node:*'],
    plugins: [
      {
        name: 'wasm',
        setup: ({ onResolve }) =>
          onResolve({ filter: /\.wasm$/ }, () => ({ path: `./${WASM}`, external: true })),
      },
    ],
  });
  const wasm = await readFile(
    new URL('../../node_modules/@cf-wasm/photon/dist/lib/photon_rs_bg.wasm', import.meta.url),
  );
  return new Miniflare(
    convertV4MiniflareOptions({
      cf: false,
      telemetry: { enabled: false },
      workers: [
        {
          name: 'variants',
          compatibilityDate: '2026-10-01',
          compatibilityFlags: ['nodejs_compat'],
          modulesRoot: '/',
          modules: [
            { type: 'ESModule', path: '/index.js', contents: bundled.outputFiles[0]?.text ?? '' },
            { type: 'CompiledWasm', path: `/${WASM}`, contents: new Uint8Array(wasm) },
          ],
        },
      ],
    }),
  );
}

async function timed(
  url: string,
  body: Uint8Array<ArrayBuffer>,
): Promise<[ms: number, bytes: number]> {
  const startedAt = performance.now();
  const answer = await fetch(url, { method: 'POST', body });
  const converted = await answer.arrayBuffer();
  if (!answer.ok) throw new Error(new TextDecoder().decode(converted));
  return [performance.now() - startedAt, converted.byteLength];
}

const median = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

const miniflare = await start();
try {
  const { origin } = await miniflare.ready;
  console.log(`load ${loadavg()[0]?.toFixed(1)}; median of ${ROUNDS}, fastest in brackets`);
  for (const size of SIZES) {
    for (const [from, asked, format] of CONVERSIONS) {
      const width = asked === 0 ? size : asked;
      const drawn = await fetch(`${origin}/draw?size=${size}&format=${from}`);
      const source = new Uint8Array(await drawn.arrayBuffer());
      const idle: number[] = [];
      const times: number[] = [];
      let bytes = 0;
      for (let round = 0; round <= ROUNDS; round += 1) {
        const [nothing] = await timed(`${origin}/nothing`, source);
        const query = `size=${size}&width=${width}&format=${format}`;
        const [taken, length] = await timed(`${origin}/convert?${query}`, source);
        bytes = length;
        // The first compiles.
        if (round === 0) continue;
        idle.push(nothing);
        times.push(taken);
      }
      const own = median(times) - median(idle);
      const fastest = Math.min(...times) - median(idle);
      const kilobytes = [source.length, bytes].map((length) => Math.round(length / 1000));
      console.log(
        `${size}² ${from} (${kilobytes[0]} kB) → ${width} ${format} (${kilobytes[1]} kB): ` +
          `${own.toFixed(0)} ms (${fastest.toFixed(0)})`,
      );
    }
  }
} finally {
  await miniflare.dispose();
}
