/**
 * `/docs`: the OpenAPI document as one page without scripts or anything from elsewhere, so that it
 * reads the same on a laptop without a network.
 */
import { html } from 'hono/html';

interface Operation {
  readonly summary?: string;
  readonly description?: string;
  readonly tags?: readonly string[];
  readonly responses?: Readonly<Record<string, { readonly description?: string }>>;
  readonly requestBody?: { readonly content?: Readonly<Record<string, { schema?: unknown }>> };
  readonly parameters?: readonly { name?: string; in?: string; description?: string }[];
}

interface Document {
  readonly info: {
    readonly title: string;
    readonly version: string;
    readonly description?: string;
  };
  readonly paths?: object;
  readonly components?: { readonly schemas?: Readonly<Record<string, unknown>> };
}

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];

export function docsPage(document: Document) {
  const { title, version, description } = document.info;
  const operations = Object.entries(document.paths ?? {}).flatMap(([path, item]) =>
    Object.entries(item as Record<string, Operation>)
      .filter(([method]) => METHODS.includes(method))
      .map(([method, operation]) => ({ path, method, operation })),
  );
  const tags = [...new Set(operations.map(({ operation }) => operation.tags?.[0] ?? 'Other'))];
  const schemas = Object.entries(document.components?.schemas ?? {});
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title} API</title>
<style>
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:58rem;margin:2rem auto;padding:0 1rem}
code,pre{font-family:ui-monospace,monospace;font-size:.9em}pre{overflow:auto;padding:1rem;background:#8881;border-radius:6px}
details{border:1px solid #8884;border-radius:6px;margin:.5rem 0;padding:.5rem 1rem}summary{cursor:pointer}
.m{display:inline-block;min-width:4.5rem;font-weight:700;text-transform:uppercase}td{padding:.1rem 1rem .1rem 0;vertical-align:top}
</style>
</head>
<body>
<h1>${title} <small>${version}</small></h1>
<p>${description ?? ''}</p>
<p>Machine-readable: <a href="/openapi.json">/openapi.json</a></p>
${tags.map(
  (tag) => html`<h2>${tag}</h2>
${operations.filter(({ operation }) => (operation.tags?.[0] ?? 'Other') === tag).map(operationBlock)}`,
)}
<h2>Schemas</h2>
${schemas.map(
  ([name, schema]) => html`<details id="${name}"><summary><code>${name}</code></summary>
<pre>${JSON.stringify(schema, null, 2)}</pre></details>`,
)}
</body>
</html>`;
}

function operationBlock(input: { path: string; method: string; operation: Operation }) {
  const { path, method, operation } = input;
  const body = Object.values(operation.requestBody?.content ?? {})[0]?.schema;
  return html`<details><summary><span class="m">${method}</span> <code>${path}</code> — ${operation.summary ?? ''}</summary>
<p>${operation.description ?? ''}</p>
<table>
${(operation.parameters ?? []).map(
  (parameter) => html`<tr><td><code>${parameter.name ?? ''}</code></td>
<td>${parameter.in ?? ''}</td><td>${parameter.description ?? ''}</td></tr>`,
)}
${Object.entries(operation.responses ?? {}).map(
  ([status, response]) => html`<tr><td><code>${status}</code></td><td></td>
<td>${response.description ?? ''}</td></tr>`,
)}
</table>
${body === undefined ? '' : html`<pre>${JSON.stringify(body, null, 2)}</pre>`}
</details>`;
}
