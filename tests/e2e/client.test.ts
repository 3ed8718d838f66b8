/**
 * The client as its users have it: packed, installed, and run by the Node of this machine, by a browser,
 * and read by tsc, against the server as its own process.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type FakeOpenAi, startFakeOpenAi } from '../support/fake-openai.ts';
import { launchBrowser } from './support/browser.ts';
import { type InstalledPackage, installPackage } from './support/package.ts';
import { type Server, startServer, type User } from './support/server.ts';
import { until } from './support/until.ts';

const run = promisify(execFile);

const PAGE = `<!doctype html>
  <script type="module">
    import { Foreman } from '/index.js';
    globalThis.Foreman = Foreman;
  </script>`;

let installed: InstalledPackage;
let fake: FakeOpenAi;
let site: HttpServer;
let siteOrigin: string;
let server: Server;
let user: User;
let browser: Browser;

beforeAll(async () => {
  site = createServer(async (request, response) => {
    const name = /^\/([\w-]+\.js)$/.exec(request.url ?? '')?.[1];
    const script = name && (await readFile(join(installed.packageDir, 'dist', name), 'utf8'));
    const type = script ? 'text/javascript' : 'text/html';
    response.writeHead(200, { 'content-type': type }).end(script || PAGE);
  });
  site.listen(0, '127.0.0.1');
  await once(site, 'listening');
  siteOrigin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
  fake = await startFakeOpenAi();
  const settings = { OPENAI_API_KEY: 'e2e', OPENAI_BASE_URL: fake.baseUrl };
  [server, installed, browser] = await Promise.all([
    startServer({ ...settings, CORS_ORIGINS: siteOrigin }),
    installPackage(),
    launchBrowser(),
  ]);
  user = await server.createUser();
}, 300_000);

afterAll(async () => {
  await browser?.close();
  await server?.close();
  await fake?.close();
  await installed?.remove();
  site?.close();
});

const write = (name: string, text: string) => writeFile(join(installed.projectDir, name), text);
const words = (script: string, ...more: string[]) => [script, server.origin, user.api.key, ...more];

it('depends on nothing, and has the licences of all that went into it', async () => {
  const read = (name: string) => readFile(join(installed.packageDir, name), 'utf8');
  const { dependencies, peerDependencies } = JSON.parse(await read('package.json'));
  expect([dependencies, peerDependencies]).toEqual([undefined, undefined]);
  const licences = await read('dist/THIRD_PARTY_LICENSES.txt');
  const named = ['commander', 'jimp', 'omggif', 'openapi-fetch', 'standardwebhooks'].filter(
    (name) =>
      new RegExp(`^${name} \\d.*\\n\\n[^]{0,200}Permission is hereby granted`, 'm').test(licences),
  );
  expect(named).toHaveLength(5);
});

it('runs in Node: images, an upload, and one class of errors for both entries', async () => {
  await write(
    'images.js',
    `import { Foreman, WebhookVerificationError } from 'foreman';
    import { verifyWebhook } from 'foreman/webhooks';
    const [baseUrl, apiKey] = process.argv.slice(2);
    const foreman = new Foreman({ baseUrl, apiKey });
    const versions = [];
    const onUpdate = ({ version }) => versions.push(version);
    const input = { model: 'sketch', prompt: 'a boat', width: 64, height: 64 };
    const { request, images } = await foreman.generate(input, { onUpdate });
    const content = await foreman.images.content(images[0].id);
    const uploaded = await foreman.images.upload(new Uint8Array(await content.arrayBuffer()));
    let isRefused = false;
    try {
      verifyWebhook({ body: '{}', headers: new Headers(), secret: 'whsec_' });
    } catch (error) {
      isRefused = error instanceof WebhookVerificationError;
    }
    const { status } = request;
    const sizes = [images[0].bytes, content.size, uploaded.bytes];
    console.log(JSON.stringify({ status, last: versions.at(-1) === request.version, sizes, isRefused }));`,
  );
  const { stdout } = await run(installed.node, words('images.js'), { cwd: installed.projectDir });
  const seen = JSON.parse(stdout) as { sizes: number[] };
  expect(seen).toMatchObject({ status: 'succeeded', last: true, isRefused: true });
  expect(new Set(seen.sizes).size).toBe(1);
});

it('that is killed in the middle and run again has its images, paid for once', async () => {
  fake.queue({ mode: 'ok', delayMs: 3_000 });
  await write(
    'killed.js',
    `import { Foreman } from 'foreman';
    const [baseUrl, apiKey, idempotencyKey] = process.argv.slice(2);
    const onUpdate = ({ id, status }) => console.log(JSON.stringify({ id, status }));
    const input = { model: 'gpt-image-1', prompt: 'a boat' };
    const foreman = new Foreman({ baseUrl, apiKey });
    const { images } = await foreman.generate(input, { idempotencyKey, onUpdate });
    console.log(JSON.stringify({ images: images.length }));`,
  );
  const command = words('killed.js', 'the-one-picture');
  const first = spawn(installed.node, command, { cwd: installed.projectDir });
  let said = '';
  first.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  await until('it runs', () => said.includes('running'));
  first.kill('SIGKILL');
  expect(await once(first, 'exit')).toEqual([null, 'SIGKILL']);
  expect(said).not.toContain('images');

  const { stdout } = await run(installed.node, command, { cwd: installed.projectDir });
  const lines = stdout.trim().split('\n');
  expect(JSON.parse(lines.at(-1) ?? '')).toEqual({ images: 1 });
  const { id } = JSON.parse(said.split('\n')[0] ?? '') as { id: string };
  expect(stdout).toContain(id);
  expect(fake.calls).toHaveLength(1);
  expect((await user.api.read(id)).attempts).toHaveLength(1);
});

it('runs in a page of another origin, from its file as it is', async () => {
  fake.queue({ mode: 'ok', delayMs: 500 });
  const page = await browser.newPage();
  await page.goto(siteOrigin);
  await page.waitForFunction('globalThis.Foreman');
  const given = { baseUrl: server.origin, apiKey: user.api.key };
  const seen = await page.evaluate(async (options) => {
    const { Foreman } = globalThis as unknown as typeof import('../../src/client/index.ts');
    let polls = 0;
    const counting = (input: string | URL | Request) => {
      if (input instanceof Request && input.method === 'GET') polls += 1;
      return fetch(input);
    };
    const foreman = new Foreman({ ...options, fetch: counting });
    const { request, images } = await foreman.generate({ model: 'gpt-image-1', prompt: 'a boat' });
    const pollsOfOne = polls;
    const content = await foreman.images.content(images[0]?.id ?? '');
    const fault = await foreman.requests.submit({ prompt: '' }).catch((error) => error);
    const { code, errors } = fault as { code: string; errors: object[] };
    return { status: request.status, pollsOfOne, bytes: content.size, code, errors };
  }, given);
  expect(seen).toMatchObject({ status: 'succeeded', code: 'invalid_request' });
  expect(seen.bytes).toBeGreaterThan(0);
  expect(seen.errors[0]).toEqual({ path: 'prompt', message: expect.any(String) });
  // One for each version: the line was held, and the page could read that it was.
  expect(seen.pollsOfOne).toBeLessThanOrEqual(3);
});

it('has types that stand by themselves, and refuse a field that is not there', async () => {
  const use = (field: string) =>
    `import { Foreman, type WebhookEvent } from 'foreman';
    import { verifyWebhook } from 'foreman/webhooks';
    const foreman = new Foreman({ baseUrl: 'https://foreman.test', apiKey: 'key' });
    const { images } = await foreman.generate({ prompt: 'a boat', ${field}: 64 });
    export const width: number | undefined = images[0]?.width;
    const event: WebhookEvent = verifyWebhook({ body: '', headers: {}, secret: '' });
    export const prompt = event.type === 'request.succeeded' ? event.data.input : event.data;
    export const { data } = await foreman.http.GET('/v1/styles');`;
  await Promise.all([write('right.ts', use('width')), write('wrong.ts', use('widht'))]);
  const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023'];
  const tsc = join(import.meta.dirname, '../../node_modules/typescript/bin/tsc');
  const checking = ['--lib', 'es2023,dom,dom.iterable', '--types', '', '--skipLibCheck', 'false'];
  const command = [tsc, ...options, ...checking, 'right.ts', 'wrong.ts'];
  const { stdout } = await run(process.execPath, command, { cwd: installed.projectDir }).catch(
    (error: { stdout: string }) => error,
  );
  const faults = stdout.split('\n').filter((line) => line.includes('error TS'));
  expect(faults).toEqual([expect.stringMatching(/^wrong\.ts.*'widht' does not exist/)]);
});
