/** What agents do with Foreman through the Model Context Protocol, over real sockets. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { CallToolResult, VersionNegotiationMode } from '@modelcontextprotocol/client';
import { imageSize } from 'image-size';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type FakeOpenAi, startFakeOpenAi } from '../support/fake-openai.ts';
import { connectAgent } from './support/agent.ts';
import type { RequestView } from './support/api.ts';
import { type Server, startServer, type User } from './support/server.ts';
import { until } from './support/until.ts';

const sketch = { model: 'sketch', prompt: 'a red sunset over mountains', width: 64, height: 64 };
const painted = { model: 'gpt-image-1', prompt: 'a red sunset over mountains' };
const eras: readonly VersionNegotiationMode[] = ['legacy', 'auto'];

let fake: FakeOpenAi;
let server: Server;
let user: User;

beforeAll(async () => {
  fake = await startFakeOpenAi();
  server = await startServer({ OPENAI_API_KEY: 'e2e', OPENAI_BASE_URL: fake.baseUrl });
  user = await server.createUser();
});

afterAll(async () => {
  await server?.close();
  await fake?.close();
});

beforeEach(() => fake.reset());

const agentOf = (mode: VersionNegotiationMode) =>
  connectAgent({ origin: server.origin, key: user.api.key, mode });

/** As the tools' output schemas have it, which the client has checked. */
const requestIn = ({ structuredContent }: CallToolResult) =>
  (structuredContent as { request: RequestView }).request;

describe.each(eras)('an agent that negotiates %o', (mode) => {
  it('finds the tools, has an image made, is told how it goes and sees the image', async () => {
    const agent = await agentOf(mode);
    expect(agent.getProtocolEra()).toBe(mode === 'legacy' ? 'legacy' : 'modern');
    const { tools } = await agent.listTools();
    expect(tools.map(({ name }) => name)).toContain('generate_image');

    fake.queue({ mode: 'ok', delayMs: 1_000 });
    const told: (string | undefined)[] = [];
    const answer = agent.callTool(
      { name: 'generate_image', arguments: painted },
      { onprogress: ({ message }) => told.push(message) },
    );
    // Told while it happens, not with the answer.
    await until('the agent is told', () => told.at(-1) === 'running on openai, attempt 1');
    expect(fake.billed()).toBe(0);
    const result = await answer;
    const request = requestIn(result);
    expect([request.status, told.at(-1)]).toEqual(['succeeded', 'succeeded']);

    const [image] = request.images;
    const signed = await fetch(image?.signed_url ?? '');
    expect((await signed.arrayBuffer()).byteLength).toBe(image?.bytes);
    // The fake's images are large: what is shown is a copy.
    expect(image?.bytes).toBeGreaterThan(262_144);
    const picture = result.content.find((block) => block.type === 'image');
    const shown = Buffer.from(picture?.data ?? '', 'base64');
    expect(imageSize(shown)).toMatchObject({ type: 'jpg', width: 512 });
    await agent.close();
  });

  it('ends a request that it waits for no more', async () => {
    const agent = await agentOf(mode);
    fake.queue({ mode: 'hang' });
    const started = await agent.callTool({
      name: 'generate_image',
      arguments: { ...painted, wait_seconds: 0 },
    });
    const { id } = requestIn(started);
    await until('the provider has the call', () => fake.calls.length > 0);
    const stop = new AbortController();
    const waiting = agent.callTool(
      { name: 'wait_for_request', arguments: { id } },
      { signal: stop.signal, onprogress: () => stop.abort() },
    );
    await expect(waiting).rejects.toThrow();
    expect((await user.api.read(id)).status).toBe('running');
    const canceled = await agent.callTool({ name: 'cancel_request', arguments: { id } });
    expect(requestIn(canceled).status).toBe('canceled');
    await agent.close();
  });
});

describe('an agent that is killed while it waits', () => {
  it('comes again with the same key and collects the same request, billed once', async () => {
    fake.queue({ mode: 'ok', delayMs: 2_500 });
    const asked = { ...painted, idempotency_key: 'e2e-killed' };
    const args = [server.origin, user.api.key, JSON.stringify(asked)];
    const child = fork(join(import.meta.dirname, 'support/waiting-agent.ts'), args);
    const exited = once(child, 'exit');
    const told: unknown[] = [];
    child.on('message', (message) => told.push(message));
    await until('it waits', () => told.includes('running on openai, attempt 1'));
    child.kill('SIGKILL');
    expect((await exited)[1]).toBe('SIGKILL');
    expect(told).not.toContain('answered');

    const agent = await agentOf('auto');
    const result = await agent.callTool({ name: 'generate_image', arguments: asked });
    const request = requestIn(result);
    expect([request.status, request.images.length, request.attempts.length]).toEqual([
      'succeeded',
      1,
      1,
    ]);
    expect([fake.calls.length, fake.billed()]).toEqual([1, 1]);
    await agent.close();
  });
});

describe('a tool that fails', () => {
  it('says so with a code, and the line goes on', async () => {
    const agent = await agentOf('auto');
    const failed = await agent.callTool({ name: 'get_request', arguments: { id: 'req_none' } });
    expect(failed).toMatchObject({
      isError: true,
      structuredContent: { error: { code: 'not_found' } },
    });
    const made = await agent.callTool({ name: 'generate_image', arguments: sketch });
    expect(requestIn(made).status).toBe('succeeded');
    await agent.close();
  });
});
