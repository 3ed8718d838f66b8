import { env } from 'cloudflare:workers';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ADMIN, type Client, http, newClient, ORIGIN, useWorld } from '../journeys/support';
import { faults } from '../support/worker';

useWorld();

interface StyleView {
  readonly id: string;
  readonly created_at: string;
  readonly updated_at: string;
}
interface Page {
  readonly items: readonly StyleView[];
  readonly next_cursor: string | null;
}

let client: Client;
beforeAll(async () => {
  client = await newClient();
});
beforeEach(async () => {
  await env.DB.exec('DELETE FROM styles');
});

const watercolor = {
  description: 'Soft and wet',
  prompt_template: 'a watercolor of {prompt}',
  negative_prompt: 'photo',
  defaults: { model: 'sketch', aspect_ratio: '3:2' },
};
const admin = (method: string, path: string, body?: unknown) =>
  http(method, `/v1/admin/styles${path}`, { headers: ADMIN, ...(body ? { body } : {}) });
const define = async (id: string, body: object = watercolor) => {
  const response = await admin('POST', '', { id, ...body });
  expect(response.status).toBe(201);
  return response;
};
const listed = async (query = '') => {
  const response = await client.call('GET', `/v1/styles${query}`);
  expect(response.status).toBe(200);
  return response.json<Page>();
};

describe('a style', () => {
  it('is shown to clients as the operator defined it', async () => {
    const response = await define('watercolor');
    expect(response.headers.get('location')).toBe(`${ORIGIN}/v1/styles/watercolor`);
    const made = await response.json<StyleView>();
    expect(made).toMatchObject({ id: 'watercolor', ...watercolor });
    expect(made.created_at).toBe(made.updated_at);
    const shown = await client.call('GET', '/v1/styles/watercolor');
    expect(await shown.json()).toEqual(made);
    expect((await listed()).items).toEqual([made]);
  });

  it('has no negative prompt and no defaults unless told so', async () => {
    const response = await define('plain', { prompt_template: '{prompt}' });
    expect(await response.json()).toMatchObject({
      description: '',
      negative_prompt: null,
      defaults: {},
    });
  });

  it('is defined once: a second one of its name is a conflict and changes nothing', async () => {
    await define('watercolor');
    const again = await admin('POST', '', { id: 'watercolor', prompt_template: '{prompt}!' });
    expect([again.status, (await again.json<{ code: string }>()).code]).toEqual([409, 'conflict']);
    const shown = await client.call('GET', '/v1/styles/watercolor');
    expect(await shown.json()).toMatchObject(watercolor);
  });

  it('is replaced as a whole: what is left out is gone', async () => {
    const { created_at } = await (await define('watercolor')).json<StyleView>();
    const response = await admin('PUT', '/watercolor', { prompt_template: '{prompt}, wet' });
    expect(response.status).toBe(200);
    const replaced = { description: '', negative_prompt: null, defaults: {}, created_at };
    expect(await response.json()).toMatchObject({ prompt_template: '{prompt}, wet', ...replaced });
  });

  it('that is deleted is gone, and can be defined anew', async () => {
    await define('watercolor');
    expect((await admin('DELETE', '/watercolor')).status).toBe(204);
    for (const method of ['PUT', 'DELETE']) {
      const body = method === 'PUT' ? watercolor : undefined;
      expect((await admin(method, '/watercolor', body)).status).toBe(404);
    }
    expect((await client.call('GET', '/v1/styles/watercolor')).status).toBe(404);
    await define('watercolor');
  });

  const faulty: readonly (readonly [string, object, string])[] = [
    ['a name in capitals', { id: 'Ink', prompt_template: '{prompt}' }, 'id'],
    ['no placeholder', { id: 'ink', prompt_template: 'a boat' }, 'prompt_template'],
    ['an unknown field', { id: 'ink', ...watercolor, prompt: 'a boat' }, 'prompt'],
    ['a faulty default', { id: 'ink', ...watercolor, defaults: { steps: 0 } }, 'defaults.steps'],
    ['half a size', { id: 'ink', ...watercolor, defaults: { width: 64 } }, 'defaults.height'],
  ];
  it.each(faulty)('with %s is refused, and the field is named', async (_, body, path) => {
    const response = await admin('POST', '', body);
    expect(response.status).toBe(422);
    const { errors } = await response.json<{ errors: { path: string }[] }>();
    expect(errors.map((error) => error.path)).toEqual([path]);
    expect((await listed()).items).toEqual([]);
  });
});

describe('the list of styles', () => {
  it('goes on by its cursor, in the order of names, each once', async () => {
    for (const id of ['c', 'a-1', 'b', 'a', '0']) await define(id);
    const seen: string[] = [];
    for (let query = '?limit=2'; query !== ''; ) {
      const page = await listed(query);
      seen.push(...page.items.map(({ id }) => id));
      query = page.next_cursor ? `?limit=2&cursor=${page.next_cursor}` : '';
    }
    expect(seen).toEqual(['0', 'a', 'a-1', 'b', 'c']);
  });

  it.each(['cursor=nonsense', 'cursor=WzFd', 'limit=0', 'limit=101', 'name=ink'])(
    'refuses %s',
    async (query) => {
      expect((await client.call('GET', `/v1/styles?${query}`)).status).toBe(422);
    },
  );
});

describe('while D1 is down', () => {
  it('styles are neither listed nor changed, and the answer says when to try again', async () => {
    await client.call('GET', '/v1/styles');
    faults.d1 = 'fail';
    const answers = [
      await client.call('GET', '/v1/styles'),
      await client.call('GET', '/v1/styles/ink'),
      await admin('POST', '', { id: 'ink', ...watercolor }),
      await admin('PUT', '/ink', watercolor),
      await admin('DELETE', '/ink'),
    ];
    for (const answer of answers) {
      expect(answer.status).toBe(503);
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    }
  });
});
