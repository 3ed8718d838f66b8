/** The official client of the Model Context Protocol, speaking to the Worker under test. */
import { exports } from 'cloudflare:workers';
import {
  type CallToolResult,
  Client,
  type ContentBlock,
  StreamableHTTPClientTransport,
  type VersionNegotiationMode,
} from '@modelcontextprotocol/client';
import { expect } from 'vitest';
import type { RequestView } from '../../src/requests/view';
import { type Client as User, until } from '../journeys/support';

/** A local server answers under no other name. */
export const MCP_URL = 'http://localhost/mcp';

export const eras: readonly VersionNegotiationMode[] = [{ pin: '2026-07-28' }, 'legacy'];

export interface Agent {
  readonly client: Client;
  call(name: string, args?: Record<string, unknown>): Promise<CallToolResult>;
  /** The data of an answer that is no error. */
  data<T>(name: string, args?: Record<string, unknown>): Promise<T>;
  /** What a tool failed with. */
  fault(name: string, args?: Record<string, unknown>): Promise<Fault>;
}

export interface Fault {
  readonly code: string;
  readonly message: string;
  readonly details: Record<string, unknown>;
  readonly text: string;
}

/** What request tools answer with. */
export interface RequestAnswer {
  readonly request: RequestView;
  readonly next_step: string | null;
}

export async function connect(
  key: string,
  mode: VersionNegotiationMode = { pin: '2026-07-28' },
  send: typeof fetch = (input, init) => exports.default.fetch(new Request(input, init)),
): Promise<Agent> {
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode } });
  await client.connect(
    new StreamableHTTPClientTransport(new URL(MCP_URL), {
      fetch: (url, init) => send(url, init),
      requestInit: { headers: { authorization: `Bearer ${key}` } },
    }),
  );
  const call: Agent['call'] = (name, args = {}) => client.callTool({ name, arguments: args });
  return {
    client,
    call,
    async data<T>(name: string, args?: Record<string, unknown>) {
      const result = await call(name, args);
      expect([result.isError ?? false, textOf(result)]).toEqual([false, expect.any(String)]);
      // As the tool's output schema has it, which the client has checked.
      return result.structuredContent as T;
    },
    async fault(name, args) {
      const result = await call(name, args);
      expect(result.isError).toBe(true);
      const { error } = result.structuredContent as { error: Omit<Fault, 'text'> };
      return { ...error, text: textOf(result) };
    },
  };
}

export const textOf = ({ content }: CallToolResult): string =>
  blocksOf(content, 'text')
    .map(({ text }) => text)
    .join('\n');

export const blocksOf = <Type extends ContentBlock['type']>(
  content: readonly ContentBlock[],
  type: Type,
) => content.filter((block): block is Extract<ContentBlock, { type: Type }> => block.type === type);

/** So many wait at the foreman, sooner or later. */
export const watchers = (user: User, count: number) =>
  until(async () => {
    const open = await user.sql(
      (_, state) => state.getWebSockets().filter(({ readyState }) => readyState === 1).length,
    );
    expect(open).toBe(count);
  });

/** A message as it is, with no client to see to it. */
export const send = (
  key: string,
  message: unknown,
  { url = MCP_URL, ...headers }: Readonly<Record<string, string>> = {},
): Promise<Response> =>
  exports.default.fetch(url, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...headers,
    },
    body: typeof message === 'string' ? message : JSON.stringify(message),
  });

export const callOf = (name: string, args: object) => ({
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: { name, arguments: args },
});
