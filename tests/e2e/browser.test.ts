/** What a page in a real browser sees of requests, over lines that break. */
import { once } from 'node:events';
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { type FakeOpenAi, startFakeOpenAi } from '../support/fake-openai.ts';
import { launchBrowser } from './support/browser.ts';
import { startCuttingProxy } from './support/cutting-proxy.ts';
import { type Server, startServer, type User } from './support/server.ts';

const painted = { model: 'gpt-image-1', prompt: 'a red sunset over mountains' };

let fake: FakeOpenAi;
let site: HttpServer;
let siteOrigin: string;
let server: Server;
let user: User;
let browser: Browser;
let page: Page;

beforeAll(async () => {
  const launching = launchBrowser();
  fake = await startFakeOpenAi();
  site = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>x</title>');
  });
  site.listen(0, '127.0.0.1');
  await once(site, 'listening');
  siteOrigin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
  server = await startServer({
    OPENAI_API_KEY: 'e2e',
    OPENAI_BASE_URL: fake.baseUrl,
    CORS_ORIGINS: siteOrigin,
  });
  user = await server.createUser();
  browser = await launching;
}, 300_000);

afterAll(async () => {
  await browser?.close();
  await server?.close();
  await fake?.close();
  site?.close();
});

beforeEach(async () => {
  fake.reset();
  page = await browser.newPage();
  await page.goto(siteOrigin);
});

interface Seen {
  readonly ids: string[];
  readonly types: string[];
  readonly versions: number[];
  /** Of the EventSource: 2 is closed for good. */
  readonly readyState: number;
}

/** All that an EventSource brings until it is closed for good. */
const follow = (url: string) =>
  page.evaluate(async (address): Promise<Seen> => {
    const source = new EventSource(address);
    const seen = { ids: [] as string[], types: [] as string[], versions: [] as number[] };
    const statuses = ['queued', 'running', 'succeeded', 'failed', 'canceled', 'expired'];
    for (const status of statuses) {
      source.addEventListener(`request.${status}`, (event) => {
        const { data: text, lastEventId } = event as MessageEvent;
        const { type, data } = JSON.parse(text);
        seen.ids.push(lastEventId);
        seen.types.push(type);
        seen.versions.push(data.version);
      });
    }
    await new Promise<void>((resolve) => {
      source.onerror = () => {
        if (source.readyState === EventSource.CLOSED) resolve();
      };
    });
    return { ...seen, readyState: source.readyState };
  }, url);

const ticketFor = async (fields: Record<string, unknown>) => {
  const { body } = await user.api.post<{ urls: { events: string } }>('/v1/tickets', fields);
  return body.urls.events;
};

it('sees every version once and in order over lines that break, and stops at the end', async () => {
  fake.queue({ mode: 500 }, { mode: 'ok', delayMs: 1_500 });
  const proxy = await startCuttingProxy(server.origin, [1, 0, 1]);
  const { id } = await user.api.submit(painted);
  const url = await ticketFor({ request_id: id });

  const seen = await follow(url.replace(server.origin, proxy.origin));

  expect(seen.ids).toEqual(['1', '2', '3', '4', '5']);
  expect(seen.types).toEqual([
    ...['request.queued', 'request.running', 'request.queued'],
    ...['request.running', 'request.succeeded'],
  ]);
  for (const [index, version] of seen.versions.entries()) {
    expect(version).toBeGreaterThan(index);
  }
  // Three lines were cut, one came to the end, and the last one learnt that there is no more.
  expect(proxy.calls.map(({ lastEventId }) => lastEventId)).toEqual([null, '1', '1', '2', '5']);
  expect(seen.readyState).toBe(2);
  await proxy.close();
});

it('hears of all requests by WebSocket', async () => {
  const url = await ticketFor({});
  const opened = page.evaluate(
    (address) =>
      new Promise<string[]>((resolve) => {
        const types: string[] = [];
        const socket = new WebSocket(address);
        socket.onmessage = ({ data }) => {
          const { type } = JSON.parse(data);
          types.push(type);
          if (type === 'stream.opened') Object.assign(globalThis, { isOpen: true });
          if (type === 'request.succeeded') resolve(types);
        };
      }),
    url,
  );
  await page.waitForFunction('globalThis.isOpen');
  await user.api.submit({ model: 'sketch', prompt: 'a boat', width: 64, height: 64 });
  expect(await opened).toEqual([
    ...['stream.opened', 'request.queued', 'request.running', 'request.succeeded'],
  ]);
});
