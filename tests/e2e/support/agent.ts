/** The official client of the Model Context Protocol, over real sockets. */
import {
  Client,
  StreamableHTTPClientTransport,
  type VersionNegotiationMode,
} from '@modelcontextprotocol/client';

export async function connectAgent(options: {
  readonly origin: string;
  readonly key: string;
  readonly mode?: VersionNegotiationMode;
}): Promise<Client> {
  const { origin, key, mode = { pin: '2026-07-28' } } = options;
  const client = new Client({ name: 'e2e', version: '1' }, { versionNegotiation: { mode } });
  const requestInit = { headers: { authorization: `Bearer ${key}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL('/mcp', origin), { requestInit }));
  return client;
}
