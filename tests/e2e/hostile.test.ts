/**
 * Bad input over real HTTP: every fault is the caller's, is answered as such at once, and is named.
 */
import { request as httpRequest } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Problem, RequestView } from './support/api.ts';
import { type Server, startServer, type User } from './support/server.ts';

/** Beyond this an answer counts as a hang. */
const PATIENCE_MS = 10_000;

let server: Server;
let user: User;
let finished: RequestView;

beforeAll(async () => {
  // No call is ever made there: only requests that are refused name an openai model.
  server = await startServer({ OPENAI_API_KEY: 'e2e', OPENAI_BASE_URL: 'http://127.0.0.1:9/v1' });
  user = await server.createUser();
  finished = await user.api.ended((await user.api.submit(good)).id);
});

afterAll(async () => {
  await server?.close();
});

const good = { model: 'sketch', prompt: 'a lighthouse', width: 64, height: 64 };

interface RawAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** As it stands: no client library tidies up the path, the headers or the body. */
function raw(options: {
  method?: string;
  path?: string;
  headers?: Record<string, string | string[]>;
  body?: string | Buffer;
  key?: string | null;
}): Promise<RawAnswer> {
  const {
    method = 'POST',
    path = '/v1/requests',
    headers = {},
    body,
    key = user.api.key,
  } = options;
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(server.origin);
    const request = httpRequest(
      {
        hostname,
        port,
        method,
        path,
        headers: {
          ...(key === null ? {} : { authorization: `Bearer ${key}` }),
          ...(body === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
          ...headers,
        },
        agent: false,
        timeout: PATIENCE_MS,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            type: String(response.headers['content-type'] ?? ''),
            body: Buffer.concat(chunks).toString(),
          }),
        );
      },
    );
    request.once('timeout', () => request.destroy(new Error(`no answer in ${PATIENCE_MS} ms`)));
    request.once('error', reject);
    request.end(body);
  });
}

function problemOf(answer: RawAnswer): Problem {
  expect(answer.type).toContain('application/problem+json');
  const problem = JSON.parse(answer.body) as Problem;
  expect(problem.status).toBe(answer.status);
  expect(problem.correlation_id).toMatch(/^[\x21-\x7e]{1,128}$/);
  expect(problem.detail).not.toBe('');
  return problem;
}

const submit = (fields: Record<string, unknown>) =>
  raw({ body: JSON.stringify({ ...good, ...fields }) });

const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
const object = (members: number) =>
  Object.fromEntries(Array.from({ length: members }, (_, index) => [`key-${index}`, 'x']));

/** Values that no field takes, whatever its type. */
const numbersOutside = (below: number, above: number) => [
  below,
  above,
  1e308,
  -1e308,
  null,
  '1',
  [],
  {},
  true,
];
const wholeOutside = (below: number, above: number) => [...numbersOutside(below, above), 1.5];
const notText = [null, 1, true, [], {}];
const notFlag = [null, 0, 1, 'true', [], {}];

/** By field; each value is wrong on its own in an otherwise good body. */
const faults: Record<string, readonly unknown[]> = {
  model: [...notText, '', 'x'.repeat(101), 'no-such-model', '__proto__', 'constructor', ' sketch'],
  prompt: [...notText, '', ' \n\t ', 'x'.repeat(4001)],
  negative_prompt: [...notText, 'x'.repeat(1001)],
  n: wholeOutside(0, 9),
  width: wholeOutside(63, 2049),
  height: wholeOutside(63, 2049),
  seed: wholeOutside(-1, 2 ** 32),
  steps: wholeOutside(0, 201),
  guidance_scale: [...numbersOutside(0.99, 20.01)],
  output_format: [...notText, '', 'gif', 'PNG'],
  image: [...notText, '', 'nonsense', 'img_x', 'data:image/png;base64,AAAA', 'ftp://example.com/a'],
  fallback_models: [null, 'sketch', {}, [1], [''], ['no-such-model'], Array(9).fill('sketch')],
  priority: [...notText, '', 'urgent'],
  deadline_seconds: wholeOutside(4, 86_401),
  max_attempts: wholeOutside(0, 11),
  max_cost_usd: numbersOutside(-0.01, 1_000_001),
  retry_unknown: notFlag,
  webhook_url: [
    ...notText,
    '',
    'nonsense',
    'ftp://example.com/hook',
    'javascript:alert(1)',
    'https://user:password@example.com/',
    `https://example.com/${'x'.repeat(2100)}`,
  ],
  webhook_events: [
    null,
    'request.failed',
    {},
    [],
    [1],
    ['request.exploded'],
    Array(9).fill('request.*'),
  ],
  metadata: [
    null,
    'x',
    1,
    [],
    object(17),
    { key: 1 },
    { key: null },
    { key: {} },
    { key: 'x'.repeat(513) },
    { '': 'x' },
    { ['k'.repeat(65)]: 'x' },
  ],
  provider_options: [null, 'x', [], { openai: 1 }, { openai: [] }, { ['p'.repeat(65)]: {} }],
  no_such_field: [1, null, {}],
  constructor: ['x'],
};

const fieldCases = Object.entries(faults).flatMap(([field, values]) =>
  values.map((value) => ({ field, value, shown: JSON.stringify(value)?.slice(0, 60) })),
);

describe('a faulty field', () => {
  it.each(fieldCases)('is named: $field $shown', async ({ field, value }) => {
    // A model that takes an image, and none of sketch's sizes.
    const base = field === 'image' ? { model: 'gpt-image-1', width: 1024, height: 1024 } : {};
    const answer = await submit({ ...base, [field]: value });
    expect(answer.status).toBe(422);
    const paths = problemOf(answer).errors?.map(({ path }) => path) ?? [];
    expect(paths.some((path) => path === field || path.startsWith(`${field}.`))).toBe(true);
  });

  const together: [says: string, fields: Record<string, unknown>, path: string][] = [
    ['a width without a height', { height: undefined }, 'height'],
    ['a height without a width', { width: undefined }, 'width'],
    ['a size and an aspect ratio', { aspect_ratio: '1:1' }, 'aspect_ratio'],
    ['a mask without an image', { mask: 'data:image/png;base64,AAAA' }, 'mask'],
    ['a strength without an image', { strength: 0.5 }, 'strength'],
    [
      'an aspect ratio of no list',
      { width: undefined, height: undefined, aspect_ratio: '7:1' },
      'aspect_ratio',
    ],
  ];
  it.each(together)('is named where it needs another: %s', async (_, fields, path) => {
    const answer = await submit(fields);
    expect(answer.status).toBe(422);
    expect(problemOf(answer).errors?.map((error) => error.path)).toContain(path);
  });

  it('is named beside every other one', async () => {
    const answer = await submit({ n: 0, seed: -1, prompt: '', metadata: { key: 1 } });
    const paths = problemOf(answer).errors?.map(({ path }) => path);
    expect(paths).toEqual(expect.arrayContaining(['n', 'seed', 'prompt', 'metadata.key']));
  });

  it('may stand at either end of its range', async () => {
    const ends: Record<string, unknown>[] = [
      { width: 64, height: 64, n: 1, seed: 0, steps: 1, guidance_scale: 1, deadline_seconds: 5 },
      { width: 2048, height: 64, n: 8, seed: 2 ** 32 - 1, steps: 200, guidance_scale: 20 },
      { deadline_seconds: 86_400, max_attempts: 10, max_cost_usd: 1_000_000 },
      { max_attempts: 1, max_cost_usd: 0, prompt: 'x'.repeat(4000) },
      { prompt: 'x', negative_prompt: 'x'.repeat(1000), metadata: object(16) },
      { metadata: { ['k'.repeat(64)]: 'v'.repeat(512), empty: '' } },
    ];
    for (const fields of ends) {
      const answer = await submit(fields);
      expect([answer.status, answer.body]).toEqual([202, expect.any(String)]);
    }
  });
});

describe('a number that JSON spells and JavaScript bends', () => {
  it.each(['1e999', '-1e999', '1'.repeat(400), '0.1e-400', '1.0000000000000001e2'])(
    'never ends in a fault of the server: seed %s',
    async (seed) => {
      const body = `{"model":"sketch","prompt":"x","width":64,"height":64,"seed":${seed}}`;
      const answer = await raw({ body });
      expect(answer.status).toBeOneOf([202, 422]);
    },
  );

  it.each(['NaN', 'Infinity', '-Infinity', '01', '+1', '.5', '0x10', '1_000', 'undefined'])(
    'is malformed when it is none: %s',
    async (seed) => {
      const answer = await raw({ body: `{"model":"sketch","prompt":"x","seed":${seed}}` });
      expect([answer.status, problemOf(answer).code]).toEqual([400, 'malformed_json']);
    },
  );
});

describe('a body', () => {
  const bodies: [says: string, body: string | Buffer | undefined, status: number, code: string][] =
    [
      ['that is empty', '', 400, 'malformed_json'],
      ['that is missing', undefined, 400, 'malformed_json'],
      ['of white space', ' \n ', 400, 'malformed_json'],
      ['that breaks off', '{"prompt":"x"', 400, 'malformed_json'],
      ['with a trailing comma', '{"prompt":"x",}', 400, 'malformed_json'],
      ['with two documents', '{"prompt":"x"}{}', 400, 'malformed_json'],
      ['with a comment', '{"prompt":"x"/*y*/}', 400, 'malformed_json'],
      ['with a raw control character', '{"prompt":"a\u0001b"}', 400, 'malformed_json'],
      [
        'that is invalid UTF-8',
        Buffer.from('{"prompt":"\xff\xfe"}', 'latin1'),
        400,
        'malformed_json',
      ],
      ['in UTF-16', Buffer.from('{"prompt":"x"}', 'utf16le'), 400, 'malformed_json'],
      [
        'of 2 MB',
        JSON.stringify({ ...good, prompt: 'x'.repeat(2 ** 21) }),
        413,
        'payload_too_large',
      ],
      ['with 100,000 nested arrays', nested(100_000), 400, 'malformed_json'],
      [
        'with 40 nested arrays in a field',
        `{"prompt":"x","metadata":${nested(40)}}`,
        400,
        'malformed_json',
      ],
      ['that is an array', '[]', 422, 'invalid_request'],
      ['that is null', 'null', 422, 'invalid_request'],
      ['that is a text', '"prompt"', 422, 'invalid_request'],
      ['that is a number', '1', 422, 'invalid_request'],
      ['that is an empty object', '{}', 422, 'invalid_request'],
    ];
  it.each(bodies)('%s is refused', async (_, body, status, code) => {
    const answer = await raw(body === undefined ? {} : { body });
    expect([answer.status, problemOf(answer).code]).toEqual([status, code]);
  });

  it('of a byte more than a MiB is refused without a length, too', async () => {
    // With nothing behind that byte the line does not break while the client still writes.
    const frame = JSON.stringify({ ...good, prompt: '' }).length;
    const body = JSON.stringify({ ...good, prompt: 'x'.repeat(2 ** 20 + 1 - frame) });
    const answer = await user.api.fetch('/v1/requests', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: new Blob([body]).stream(),
      duplex: 'half',
    } as RequestInit);
    expect(answer.status).toBe(413);
    await answer.body?.cancel();
  });

  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'x',
  ])('of the type %s is refused', async (type) => {
    const answer = await raw({ body: JSON.stringify(good), headers: { 'content-type': type } });
    expect([answer.status, problemOf(answer).code]).toEqual([415, 'unsupported_media_type']);
  });

  it('with a key twice takes the last one, or is refused', async () => {
    const answer = await raw({
      body: '{"prompt":"a","prompt":"b","model":"sketch","width":64,"height":64}',
    });
    expect(answer.status).toBeOneOf([202, 400, 422]);
    if (answer.status === 202) expect(JSON.parse(answer.body).input.prompt).toBe('b');
  });

  it.each([
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    'prototype',
    '__defineGetter__',
  ])(
    'with the metadata key %s is kept as it is or refused by name, never in silence',
    async (key) => {
      const body = `{"model":"sketch","prompt":"x","width":64,"height":64,"metadata":{"${key}":"v"}}`;
      const answer = await raw({ body });
      if (answer.status === 202) {
        expect(JSON.stringify(JSON.parse(answer.body).metadata)).toBe(`{"${key}":"v"}`);
      } else {
        expect(answer.status).toBe(422);
        const [error] = problemOf(answer).errors ?? [];
        expect(error?.path).toBe(`metadata.${key}`);
      }
    },
  );

  it.each(['__proto__', 'prototype', 'toString'])(
    'with the unknown field %s is refused by name',
    async (key) => {
      const body = `{"model":"sketch","prompt":"x","width":64,"height":64,"${key}":{"n":2}}`;
      const answer = await raw({ body });
      expect(answer.status).toBe(422);
      expect(problemOf(answer).errors?.map(({ path }) => path)).toContain(key);
    },
  );

  it.each(['prompt', 'negative_prompt', 'metadata.k', 'provider_options.openai.user'])(
    'with half a surrogate pair in %s is refused by its path, as no strict reader would read it',
    async (path) => {
      const [name = '', ...inner] = path.split('.');
      const value = inner.reduceRight((held, key) => `{"${key}":${held}}`, '"a\\ud800b"');
      const fields = name === 'prompt' ? '' : '"prompt":"x",';
      const answer = await raw({ body: `{"model":"sketch",${fields}"${name}":${value}}` });
      expect(answer.status).toBe(422);
      expect(problemOf(answer).errors?.map((error) => error.path)).toEqual([path]);
    },
  );

  it('with a null, a right-to-left mark or a byte order mark is well-formed to the end', async () => {
    for (const text of ['a\\u0000b', '\\u202e', '\\ufeff']) {
      const body = `{"model":"sketch","prompt":"${text}x","width":64,"height":64,"metadata":{"k":"${text}"}}`;
      const answer = await raw({ body });
      expect(answer.status).toBeOneOf([202, 422]);
      if (answer.status === 422) continue;
      const { id } = JSON.parse(answer.body) as RequestView;
      const ended = await user.api.ended(id);
      expect([text, ended.status, ended.metadata.k]).toEqual([
        text,
        'succeeded',
        JSON.parse(`"${text}"`),
      ]);
    }
  });
});

describe('a header of 10,000 characters', () => {
  const long = 'x'.repeat(10_000);
  const headers: [name: string, value: string][] = [
    ['authorization', `Bearer ${long}`],
    ['idempotency-key', long],
    ['x-correlation-id', long],
    ['x-request-id', long],
    ['traceparent', long],
    ['prefer', long],
    ['if-none-match', `"${long}"`],
    ['range', `bytes=${'1'.repeat(10_000)}-`],
    ['last-event-id', '9'.repeat(10_000)],
    ['content-type', `application/json; ${long}`],
    ['cookie', long],
    ['x-unknown', long],
  ];
  it.each(headers)('is refused and named: %s', async (name, value) => {
    const self = `/v1/requests/${finished.id}`;
    const image = `/v1/images/${finished.images[0]?.id}/content`;
    const answers = [
      await raw({ body: JSON.stringify(good), headers: { [name]: value } }),
      await raw({ method: 'GET', path: self, headers: { [name]: value } }),
      await raw({ method: 'GET', path: `${self}/events`, headers: { [name]: value } }),
      await raw({ method: 'GET', path: image, headers: { [name]: value } }),
    ];
    for (const answer of answers) {
      expect([answer.status, problemOf(answer).code]).toEqual([431, 'header_too_large']);
      expect(problemOf(answer).detail).toContain(name);
    }
  });
});

describe('a header that is odd', () => {
  const refused: [name: string, value: string][] = [
    ['idempotency-key', ''],
    ['idempotency-key', 'k'.repeat(256)],
    ['idempotency-key', 'clé'],
    ['x-correlation-id', 'two words'],
    ['x-correlation-id', 'c'.repeat(129)],
    ['x-correlation-id', 'é'],
  ];
  it.each(refused)('is refused by name: %s: %s', async (name, value) => {
    const answer = await raw({ body: JSON.stringify(good), headers: { [name]: value } });
    const problem = problemOf(answer);
    expect([answer.status, problem.code]).toEqual([400, 'invalid_header']);
    expect(problem.detail.toLowerCase()).toContain(name);
  });

  const ignored: [name: string, value: string][] = [
    ['prefer', 'wait=-1'],
    ['prefer', 'wait=99999999999'],
    ['prefer', 'wait=abc, respond-async'],
    ['if-none-match', '*'],
    ['if-none-match', '"99999999999999999999"'],
    ['if-none-match', 'W/"'],
    ['range', 'bytes=99999999999999999999-'],
    ['range', 'bytes=5-1'],
    ['range', 'lines=1-2'],
    ['last-event-id', 'NaN'],
    ['last-event-id', '-1'],
    ['last-event-id', '1e999'],
    ['traceparent', 'nonsense'],
    ['accept', 'application/xml'],
    ['if-modified-since', 'yesterday'],
    ['if-range', '"nonsense'],
  ];
  it.each(ignored)('never ends in a fault of the server: %s: %s', async (name, value) => {
    const self = `/v1/requests/${finished.id}`;
    for (const path of [self, `${self}/events`, `/v1/images/${finished.images[0]?.id}/content`]) {
      const answer = await raw({ method: 'GET', path, headers: { [name]: value } });
      expect([path, answer.status]).toEqual([
        path,
        expect.toSatisfy((status: number) => status < 500),
      ]);
    }
  });

  it.each([
    'Basic dXNlcjpwYXNz',
    'Bearer',
    'Bearer  ',
    'bearer\tx',
    'fm_x',
    'Bearer \u00e9',
    'Bearer a b',
  ])('is no key: Authorization: %s', async (authorization) => {
    const answer = await raw({ body: JSON.stringify(good), headers: { authorization }, key: null });
    expect([answer.status, problemOf(answer).code]).toEqual([401, 'unauthorized']);
  });
});

describe('a path', () => {
  const paths = [
    '/v1/requests/%00',
    '/v1/requests/..%2f..%2fetc%2fpasswd',
    '/v1/requests/../../etc/passwd',
    '/v1/requests/%ff%fe',
    '/v1/requests/%',
    '/v1/requests/%E0%A4%A',
    `/v1/requests/req_${'0'.repeat(5_000)}`,
    `/v1/requests/${'x'.repeat(5_000)}`,
    "/v1/requests/req_0'%20OR%201=1--",
    '/v1/requests/__proto__',
    '/v1/requests/REQ_001M7Y7GQJW4RQ7JB291J8NVSRK',
    '/v1/requests/req_001m7y7gqjw4rq7jb291j8nvsrk%0a',
    '/v1/requests/req_001m7y7gqjw4rq7jb291j8nvsrk/events',
    '/v1/requests/req_001m7y7gqjw4rq7jb291j8nvsrk/deliveries',
    '/v1/images/%00/content',
    '/v1/images/..%2f..%2fsecret/content',
    `/v1/images/img_${'0'.repeat(5_000)}/content`,
    '/v1/images/img_001m7y7gqjw4rq7jb291j8nvsrk_99999999999999999999_0/content',
    '/v1/images/img_001m7y7gqjw4rq7jb291j8nvsrk_-1_0/content',
    '/v1/images/img_001m7y7gqjw4rq7jb291j8nvsrk_1_0?expires=NaN&signature=x',
    '/v1/images/img_001m7y7gqjw4rq7jb291j8nvsrk_1_0/content?expires=1e999&signature=%00',
    '/v1/images/img_001m7y7gqjw4rq7jb291j8nvsrk_1_0/content?signature=x',
    '/v1/nothing',
    '//',
    '/v1//requests',
    '/v1/requests/',
    '/V1/REQUESTS',
    `/${'a/'.repeat(2_000)}`,
    '/%2e%2e/%2e%2e/',
    '/constructor',
  ];
  it.each(paths)('that leads nowhere is a 404: %s', async (path) => {
    const answer = await raw({ method: 'GET', path });
    expect([answer.status, problemOf(answer).code]).toEqual([404, 'not_found']);
  });

  it.each(['/v1/admin/users/%00', '/v1/admin/users/usr_x', '/v1/admin/users/usr_x/keys'])(
    'of the admin API that leads nowhere is a 404: %s',
    async (path) => {
      const answer = await raw({ method: 'GET', path, key: server.admin.key });
      expect([answer.status, problemOf(answer).code]).toEqual([404, 'not_found']);
    },
  );
});

describe('a query', () => {
  const queries: [query: string, path: string][] = [
    ['limit=0', 'limit'],
    ['limit=101', 'limit'],
    ['limit=-1', 'limit'],
    ['limit=1.5', 'limit'],
    ['limit=NaN', 'limit'],
    ['limit=', 'limit'],
    ['limit=1&limit=2', 'limit'],
    ['cursor=nonsense', 'cursor'],
    ['cursor=', 'cursor'],
    [`cursor=${'x'.repeat(2_000)}`, 'cursor'],
    ['cursor=bnVsbA', 'cursor'],
    ['sort_by=prompt', 'sort_by'],
    ['sort_by=__proto__', 'sort_by'],
    ['sort_direction=up', 'sort_direction'],
    ['status=done', 'status'],
    [`model=${'x'.repeat(101)}`, 'model'],
    ['created_after=yesterday', 'created_after'],
    ['created_before=2026-13-45T00:00:00Z', 'created_before'],
    ['include_total=1', 'include_total'],
    ['nonsense=1', 'nonsense'],
    ['metadata.=x', 'metadata.'],
    [`metadata.key=${'x'.repeat(513)}`, 'metadata.key'],
    ['__proto__=x', '__proto__'],
    ['constructor=x', 'constructor'],
  ];
  it.each(queries)('with a fault is refused by name: %s', async (query, path) => {
    const answer = await raw({ method: 'GET', path: `/v1/requests?${query}` });
    expect(answer.status).toBe(422);
    expect(problemOf(answer).errors?.map((error) => error.path)).toContain(path);
  });

  it.each([
    "metadata.a'b=x",
    'metadata.%22=x',
    'metadata.%5B0%5D=x',
    'metadata.$=x',
    'metadata.a.b.c=x',
    'metadata.%00=x',
    'metadata.__proto__=x',
    `metadata.${'k'.repeat(1_000)}=x`,
    "model=' OR 1=1--",
    'model=%00',
    'created_after=0001-01-01T00:00:00Z',
    'created_before=9999-12-31T23:59:59Z',
  ])('with odd but legal text finds nothing of others: %s', async (query) => {
    const path = `/v1/requests?limit=1&${query.replaceAll(' ', '%20')}`;
    const answer = await raw({ method: 'GET', path });
    expect(answer.status).toBeOneOf([200, 422]);
  });
});

describe('a method', () => {
  const methods: [method: string, path: string][] = [
    ['PUT', '/v1/requests'],
    ['PATCH', '/v1/requests'],
    ['DELETE', '/v1/requests'],
    ['TRACE', '/v1/requests'],
    ['PROPFIND', '/v1/requests'],
    ['OPTIONS', '/v1/requests'],
    ['POST', '/v1/models'],
    ['POST', '/health'],
    ['GET', '/v1/requests/req_001m7y7gqjw4rq7jb291j8nvsrk/cancel'],
    ['PUT', '/v1/requests/req_001m7y7gqjw4rq7jb291j8nvsrk'],
    ['POST', '/v1/images/img_001m7y7gqjw4rq7jb291j8nvsrk_1_0/content'],
  ];
  it.each(methods)('that a path does not take is a 405: %s %s', async (method, path) => {
    const answer = await raw({ method, path });
    expect([answer.status, problemOf(answer).code]).toEqual([405, 'method_not_allowed']);
  });
});

describe('the admin API', () => {
  const bodies: [body: string, path: string][] = [
    ['{}', 'name'],
    ['{"name":""}', 'name'],
    ['{"name":" "}', 'name'],
    ['{"name":1}', 'name'],
    [`{"name":"${'x'.repeat(101)}"}`, 'name'],
    ['{"name":"\\ud800"}', 'name'],
    ['{"name":"a\\u0000"}', 'name'],
    ['{"name":"a","limits":{"max_running":-1}}', 'limits.max_running'],
    ['{"name":"a","limits":{"max_running":1.5}}', 'limits.max_running'],
    ['{"name":"a","limits":{"max_running":1000001}}', 'limits.max_running'],
    ['{"name":"a","limits":{"burst":"1"}}', 'limits.burst'],
    ['{"name":"a","limits":{"burst":1e999}}', 'limits.burst'],
    ['{"name":"a","limits":{"nonsense":1}}', 'limits.nonsense'],
    ['{"name":"a","limits":null}', 'limits'],
    ['{"name":"a","nonsense":1}', 'nonsense'],
  ];
  it.each(bodies)('names the fault of a new user: %s', async (body, path) => {
    const answer = await raw({ path: '/v1/admin/users', body, key: server.admin.key });
    expect(answer.status).toBe(422);
    expect(problemOf(answer).errors?.map((error) => error.path)).toContain(path);
  });

  it.each([
    '{"name":"a","scopes":[]}',
    '{"name":"a","scopes":["root"]}',
    '{"name":"a","scopes":"admin"}',
  ])('names the fault of a new key: %s', async (body) => {
    const path = `/v1/admin/users/${user.id}/keys`;
    const answer = await raw({ path, body, key: server.admin.key });
    expect(answer.status).toBe(422);
    expect(problemOf(answer).errors?.[0]?.path).toMatch(/^scopes/);
  });

  it('is closed to a user, whatever the body', async () => {
    const answer = await raw({ path: '/v1/admin/users', body: 'nonsense' });
    expect([answer.status, problemOf(answer).code]).toEqual([403, 'forbidden']);
  });
});

describe('after all this', () => {
  it('the server works, and has logged no fault of its own', async () => {
    const { id } = await user.api.submit(good);
    expect((await user.api.ended(id)).status).toBe('succeeded');
    const faultsOfOurs = server
      .output()
      .split('\n')
      .filter((line) => /"event":"http\.failed"|"level":"error"|Uncaught/.test(line));
    expect(faultsOfOurs).toEqual([]);
  });
});
