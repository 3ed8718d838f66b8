/**
 * The public conformance suite of the Model Context Protocol, as its own process against the real
 * server. It knows no keys: a proxy on loopback adds one and passes all else on, Host and Origin too.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type Server as HttpServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { type Fixture, startFixture } from './support/fixture.ts';
import { type Server, startServer } from './support/server.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SUITE = join(ROOT, 'node_modules/@modelcontextprotocol/conformance/dist/index.js');
const NODE = join(ROOT, 'node_modules/.bin/node');
const SUITE_LIMIT_MS = 90_000;

let folder: string;
let server: Server;
let fixture: Fixture;
const proxies: HttpServer[] = [];
let ours: string;
let withFixtures: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'foreman-conformance-'));
  [server, fixture] = await Promise.all([
    startServer(),
    startFixture('tests/support/conformance', join(folder, 'state')),
  ]);
  const { api } = await server.createUser();
  ours = await startProxy(server.origin, api.key);
  withFixtures = await startProxy(fixture.origin, fixture.key);
});

afterAll(async () => {
  for (const proxy of proxies) {
    proxy.closeAllConnections();
    proxy.close();
  }
  await Promise.all([server?.close(), fixture?.stop()]);
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
});

/** @returns where `/mcp` is reached with the key. */
async function startProxy(target: string, key: string): Promise<string> {
  const { hostname, port } = new URL(target);
  const proxy = createServer((asked, answer) => {
    const { method, url: path } = asked;
    const headers = { ...asked.headers, authorization: `Bearer ${key}` };
    const passed = httpRequest({ hostname, port, method, path, headers }, (answered) => {
      answer.writeHead(answered.statusCode ?? 502, answered.headers);
      answered.pipe(answer);
    });
    passed.on('error', () => answer.destroy());
    answer.on('close', () => passed.destroy());
    asked.pipe(passed);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  proxies.push(proxy);
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/mcp`;
}

interface Check {
  readonly status: 'SUCCESS' | 'FAILURE' | 'WARNING' | 'INFO' | 'SKIPPED';
}

/** Runs one scenario, or without one all that the suite asks of a server. */
async function judge(url: string, scenario?: string): Promise<ReadonlyMap<string, Check[]>> {
  const results = await mkdtemp(join(folder, 'results-'));
  const one = scenario === undefined ? [] : ['--scenario', scenario];
  const args = [SUITE, 'server', '--url', url, ...one, '-o', results];
  const options = { cwd: folder, timeout: SUITE_LIMIT_MS };
  // It ends with 1 where any scenario fails; the files say which.
  await new Promise<void>((resolve) => execFile(NODE, args, options, () => resolve()));
  const judged = (await readdir(results)).map(async (name): Promise<[string, Check[]]> => {
    const checks = JSON.parse(await readFile(join(results, name, 'checks.json'), 'utf8'));
    return [/^server-(.+)-\d{4}-\d\d-\d\dT/.exec(name)?.[1] ?? name, checks];
  });
  return new Map(await Promise.all(judged));
}

/** Those with something to be judged by, all of it good. */
const passed = (judged: ReadonlyMap<string, readonly Check[]>) =>
  [...judged].flatMap(([scenario, checks]) => {
    const real = checks.filter(({ status }) => status !== 'INFO');
    return real.length > 0 && real.every(({ status }) => status === 'SUCCESS') ? [scenario] : [];
  });

const ofTheServer = [
  'dns-rebinding-protection',
  'ping',
  'resources-list',
  'server-initialize',
  'tools-list',
];
/** What the suite fixes by name: everything else that it asks for, Foreman does not offer. */
const ofFixtures = [
  'resources-read-binary',
  'resources-read-text',
  'resources-templates-read',
  'tools-call-error',
  'tools-call-image',
  'tools-call-mixed-content',
  'tools-call-simple-text',
  'tools-call-with-progress',
];

describe.concurrent('the conformance suite', () => {
  it('finds the server as it is to conform in what it offers', async ({ expect }) => {
    const judged = await judge(ours);
    expect(judged.size).toBeGreaterThan(25);
    expect(passed(judged).toSorted()).toEqual(ofTheServer);
  });

  it('finds the same endpoint to conform in what it offers with fixtures', async ({ expect }) => {
    const judged = await judge(withFixtures);
    expect(passed(judged).toSorted()).toEqual([...ofTheServer, ...ofFixtures].toSorted());
  });

  it.for(['json-schema-2020-12'])('finds it to conform: %s', async (scenario, { expect }) => {
    expect(passed(await judge(withFixtures, scenario))).toEqual([scenario]);
  });
});
