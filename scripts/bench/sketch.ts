/**
 * CPU time of the embedded provider: medians over several prompts and seeds, by size, on the same
 * engine (V8) and zlib that a Worker has. Usage: node scripts/bench/sketch.ts
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';

const PROMPTS = [
  'a red sunset over mountains',
  'a rainy city at night',
  'a boat on a calm lake in autumn',
  'a forest in fog at dawn',
  'stars and a planet over dunes',
];
const SEEDS = [1, 2, 3, 4];
const SIDES = [512, 1024, 2048];
const WARM_UP = 3;
/** What is aimed at, milliseconds of CPU at 1024 x 1024. */
const AIM_MS = 300;

type Draw = (input: {
  prompt: string;
  negativePrompt: null;
  seed: number;
  width: number;
  height: number;
  steps: null;
  guidanceScale: null;
}) => Promise<Uint8Array>;

const folder = await mkdtemp(join(tmpdir(), 'foreman-sketch-'));
try {
  const outfile = join(folder, 'draw.mjs');
  const entry = join(import.meta.dirname, '../../src/generation/providers/sketch/draw.ts');
  await build({ entryPoints: [entry], bundle: true, format: 'esm', outfile, logLevel: 'error' });
  const { drawSketch } = (await import(outfile)) as { drawSketch: Draw };
  for (let index = 0; index < WARM_UP; index += 1) await cpuMs(drawSketch, 'warm up', index, 1024);
  const rows = [];
  for (const side of SIDES) rows.push(await measure(drawSketch, side));
  console.table(rows);
  const aimed = rows.find((row) => row.size === '1024x1024');
  console.log(`1024x1024: ${aimed?.['median ms']} ms of CPU (aim: under ${AIM_MS} ms)`);
} finally {
  await rm(folder, { recursive: true });
}

async function measure(draw: Draw, side: number) {
  const times = [];
  let bytes = 0;
  for (const prompt of PROMPTS) {
    for (const seed of SEEDS) {
      const drawn = await cpuMs(draw, prompt, seed, side);
      times.push(drawn.ms);
      bytes += drawn.bytes;
    }
  }
  times.sort((a, b) => a - b);
  return {
    size: `${side}x${side}`,
    'median ms': Math.round(times[Math.floor(times.length / 2)] ?? 0),
    'slowest ms': Math.round(times.at(-1) ?? 0),
    'mean kB': Math.round(bytes / times.length / 1000),
  };
}

/** User and system time of the whole process, its zlib threads included. */
async function cpuMs(draw: Draw, prompt: string, seed: number, side: number) {
  const before = process.cpuUsage();
  const size = { width: side, height: side };
  const input = { prompt, negativePrompt: null, seed, ...size, steps: null, guidanceScale: null };
  const { byteLength } = await draw(input);
  const { user, system } = process.cpuUsage(before);
  return { ms: (user + system) / 1000, bytes: byteLength };
}
