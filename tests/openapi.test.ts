// The OpenAPI document: its structure, and that what it says of access is complete. That it has every
// route is tests/guards.test.ts' business.
import { describe, expect, it } from 'vitest';
import { http } from './journeys/support';
import { openRoutes } from './support/open-routes';

describe('the OpenAPI document', () => {
  interface Operation {
    readonly summary?: string;
    readonly description?: string;
    readonly security?: readonly Record<string, unknown>[];
    readonly responses: Record<string, { description?: string }>;
    readonly parameters?: readonly { name: string; in: string }[];
  }
  interface Document {
    readonly openapi: string;
    readonly info: { title: string; version: string };
    readonly paths: Record<string, Record<string, Operation>>;
    readonly components: Record<string, Record<string, unknown>>;
  }
  const document = async () => (await http('GET', '/openapi.json')).json<Document>();
  const operations = ({ paths }: Document) =>
    Object.entries(paths).flatMap(([path, item]) =>
      Object.entries(item).map(([method, operation]) => ({
        route: `${method.toUpperCase()} ${path}`,
        path,
        operation,
      })),
    );

  it('is 3.1, and every operation says what it does, needs and answers', async () => {
    const whole = await document();
    expect(whole.openapi).toMatch(/^3\.1\.\d+$/);
    expect(whole.info.title && whole.info.version).toBeTruthy();
    for (const { route, path, operation } of operations(whole)) {
      const statuses = Object.keys(operation.responses);
      expect([route, statuses.some((status) => /^(101|2\d\d|302)$/.test(status))]).toEqual([
        route,
        true,
      ]);
      expect([route, Boolean(operation.summary)]).toEqual([route, true]);
      for (const [status, { description }] of Object.entries(operation.responses)) {
        expect([route, status, Boolean(description)]).toEqual([route, status, true]);
      }
      const inPath = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path');
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter);
      expect([route, inPath.map((parameter) => parameter.name)]).toEqual([route, named]);
    }
  });

  it('names a security scheme for every route that is not open, and how it denies', async () => {
    const whole = await document();
    const schemes = Object.keys(whole.components.securitySchemes ?? {});
    for (const { route, operation } of operations(whole)) {
      if (openRoutes.includes(route)) continue;
      const asked = (operation.security ?? []).flatMap((entry) => Object.keys(entry));
      expect([
        route,
        asked.length > 0 && asked.every((scheme) => schemes.includes(scheme)),
      ]).toEqual([route, true]);
      expect([route, Object.keys(operation.responses)]).toEqual([
        route,
        expect.arrayContaining(['401', '403', '429']),
      ]);
    }
  });

  it.each(['/v1/requests', '/v1/requests/batch'])('says that POST %s may be away', async (path) => {
    const { paths } = await document();
    expect(Object.keys(paths[path]?.post?.responses ?? {})).toContain('503');
  });

  it('says of a dry run what it does not look at', async () => {
    const { paths } = await document();
    expect(paths['/v1/requests']?.post?.description).toContain('budgets are not looked at');
  });

  it('refers to nothing that it does not have', async () => {
    const text = await (await http('GET', '/openapi.json')).text();
    const whole = JSON.parse(text) as Document;
    const references = [...text.matchAll(/"\$ref":"([^"]+)"/g)].map(([, reference]) => reference);
    expect(references.length).toBeGreaterThan(0);
    for (const reference of new Set(references)) {
      const [, , section = '', entry = ''] = reference?.split('/') ?? [];
      expect([reference, whole.components[section]?.[entry] !== undefined]).toEqual([
        reference,
        true,
      ]);
    }
  });

  it.each(['/health', '/openapi.json', '/docs'])('%s is open', async (path) => {
    expect((await http('GET', path)).status).toBe(200);
  });
});
