// The client's types are those of the routes: the file says which document it was generated from.
import { expect, it } from 'vitest';
import { documentForClients, hashLine, hashOf } from '../../scripts/client/document.ts';
import schema from '../../src/client/schema.ts?raw';
import { http } from '../journeys/support';

const readDocument = async () =>
  (await http('GET', '/openapi.json')).json<Parameters<typeof documentForClients>[0]>();

it('src/client/schema.ts is generated from the document as it is; else: npm run client:types', async () => {
  const hash = await hashOf(documentForClients(await readDocument()));
  expect(schema.split('\n', 1)).toEqual([hashLine(hash)]);
});

it('its hash is of all that a client can ask for, in any order, and of nothing else', async () => {
  const whole = await readDocument();
  const paths = Object.keys(documentForClients(whole).paths);
  expect(paths).toContain('/v1/requests');
  expect(paths.filter((path) => !path.startsWith('/v1/'))).toEqual([]);
  const hashWith = (path: string, item: unknown) =>
    hashOf(documentForClients({ ...whole, paths: { [path]: item, ...whole.paths } }));
  const hash = await hashOf(documentForClients(whole));
  const reversed = Object.fromEntries(Object.entries(whole.paths).reverse());
  expect(await hashOf(documentForClients({ ...whole, paths: reversed }))).toBe(hash);
  expect(await hashWith('/mcp', {})).toBe(hash);
  expect(await hashWith('/v1/new', {})).not.toBe(hash);
});
