/**
 * The part of the OpenAPI document that the client is made from: all that is asked for as JSON under
 * `/v1`. Other dialects (`/openai`, `/mcp`, `/oauth`) have clients of their own. It runs on Node, where
 * the types are generated, and inside workerd, where a test holds them against the live document.
 */
interface Document {
  readonly paths: Readonly<Record<string, unknown>>;
  readonly components: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** Called by providers, with a signature that only they have. */
const NOT_FOR_CLIENTS = ['/v1/callbacks/'];

const REFERENCE = /"\$ref":"#\/components\/([^/"]+)\/([^/"]+)"/g;

/** Those paths, and what of the components they refer to, directly or not. */
export function documentForClients(whole: Document): Document {
  const paths = Object.fromEntries(
    Object.entries(whole.paths).filter(
      ([path]) =>
        path.startsWith('/v1/') && !NOT_FOR_CLIENTS.some((other) => path.startsWith(other)),
    ),
  );
  const components: Record<string, Record<string, unknown>> = {};
  const keep = (part: unknown): void => {
    for (const [, section = '', name = ''] of JSON.stringify(part).matchAll(REFERENCE)) {
      const entry = whole.components[section]?.[name];
      if (entry === undefined || components[section]?.[name] !== undefined) continue;
      components[section] = { ...components[section], [name]: entry };
      keep(entry);
    }
  };
  keep(paths);
  return { ...whole, paths, components };
}

/** Hex SHA-256, whatever the order of the members. */
export async function hashOf(document: Document): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(sorted(document)));
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The first line of the generated file. */
export const hashLine = (hash: string) => `// OpenAPI document, SHA-256: ${hash}`;

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(members.map(([name, member]) => [name, sorted(member)]));
}
