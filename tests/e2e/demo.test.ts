/** The README's first command, as a newcomer runs it. */
import { spawn } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { imageSize } from 'image-size';
import { expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');

function demo(...args: readonly string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['scripts/demo.ts', ...args], { cwd: ROOT });
    let output = '';
    const collect = (chunk: Buffer) => {
      output += chunk.toString();
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output }));
  });
}

it('draws what it was asked for, verifies the webhook, and leaves a picture', async () => {
  const { code, output } = await demo('a red sunset over mountains');
  expect(code, output).toBe(0);
  expect(output).toMatch(/request\.succeeded/);
  expect(output).toMatch(/signature\s+verified/);
  const path = /path\s+(out\/\S+\.png)/.exec(output)?.[1] ?? '';
  const bytes = await readFile(join(ROOT, path));
  expect(imageSize(bytes)).toMatchObject({ type: 'png', width: 1024, height: 1024 });
  await rm(join(ROOT, path));
});

it('says what failed, and exits with 1', async () => {
  const { code, output } = await demo('anything', '--model', 'chaos-refuse-input');
  expect(code).toBe(1);
  expect(output).toMatch(/content_refused/);
});
