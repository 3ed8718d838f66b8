/**
 * The Worker with what the conformance suite of the Model Context Protocol wants to find on a server,
 * under names that it has fixed, beside Foreman's own tools.
 */
import { type McpServer, ResourceTemplate } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { createApp } from '../../../src/app';
import worker from '../../../src/index';
import { createServices } from '../../../src/services';

export * from '../../../src/index';

const PIXEL =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const picture = { type: 'image', data: PIXEL, mimeType: 'image/png' } as const;
const text = (said: string) => ({ type: 'text', text: said }) as const;

/** With `$schema` and `$defs`, which must reach the client as they are. */
const addressed = z.toJSONSchema(
  z.strictObject({
    name: z.string().optional(),
    address: z
      .object({ street: z.string().optional(), city: z.string().optional() })
      .meta({ id: 'address' })
      .optional(),
  }),
);
const shown = () => ({ ...addressed });
const addressedSchema = {
  '~standard': {
    version: 1,
    vendor: 'fixture',
    validate: (value: unknown) => ({ value }),
    jsonSchema: { input: shown, output: shown },
  },
} as const;

function putFixtures(server: McpServer): void {
  const description = 'For the conformance suite';
  server.registerTool(
    'json_schema_2020_12_tool',
    { description, inputSchema: addressedSchema },
    () => ({ content: [text('done')] }),
  );
  server.registerTool('test_simple_text', { description }, () => ({
    content: [text('This is a simple text response for testing.')],
  }));
  server.registerTool('test_image_content', { description }, () => ({ content: [picture] }));
  server.registerTool('test_multiple_content_types', { description }, () => ({
    content: [
      text('Multiple content types test:'),
      picture,
      {
        type: 'resource',
        resource: { uri: 'test://mixed', mimeType: 'application/json', text: '{"test":"data"}' },
      },
    ],
  }));
  server.registerTool('test_error_handling', { description }, () => {
    throw new Error('This tool intentionally returns an error for testing');
  });
  server.registerTool('test_tool_with_progress', { description }, async ({ mcpReq }) => {
    const progressToken = mcpReq._meta?.progressToken ?? 0;
    for (const progress of [0, 50, 100]) {
      const params = { progressToken, progress, total: 100 };
      await mcpReq.notify({ method: 'notifications/progress', params });
    }
    return { content: [text('done')] };
  });

  const plain = { mimeType: 'text/plain' };
  server.registerResource('static text', 'test://static-text', plain, ({ href: uri }) => ({
    contents: [{ uri, ...plain, text: 'This is the content of the static text resource.' }],
  }));
  const png = { mimeType: 'image/png' };
  server.registerResource('static binary', 'test://static-binary', png, ({ href: uri }) => ({
    contents: [{ uri, ...png, blob: PIXEL }],
  }));
  const template = new ResourceTemplate('test://template/{id}/data', { list: undefined });
  const json = { mimeType: 'application/json' };
  server.registerResource('template', template, json, ({ href: uri }, { id }) => ({
    contents: [{ uri, ...json, text: JSON.stringify({ id, templateTest: true }) }],
  }));
}

let app: ReturnType<typeof createApp> | null = null;

export default {
  ...worker,
  fetch(request, env, context) {
    app ??= createApp(createServices(env), putFixtures);
    return app.fetch(request, env, context);
  },
} satisfies ExportedHandler<Env>;
