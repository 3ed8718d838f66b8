// Images and requests as resources, by the official client.

import { env, exports } from 'cloudflare:workers';
import { ResourceNotFoundError } from '@modelcontextprotocol/client';
import { beforeAll, describe, expect, it } from 'vitest';
import { newId } from '../../src/platform/ids';
import { pngOf } from '../images/support';
import { type Client, indexed, newClient, useWorld } from '../journeys/support';
import { faults } from '../support/worker';
import { type Agent, connect, eras, type RequestAnswer } from './support';

useWorld();

const SMALL = { model: 'sketch', prompt: 'a boat', width: 64, height: 64 };

let user: Client;
let stranger: Client;
let made: RequestAnswer['request'];
beforeAll(async () => {
  [user, stranger] = await Promise.all([newClient(), newClient()]);
  const agent = await connect(user.key);
  const asked = { ...SMALL, n: 2 };
  made = (await agent.data<RequestAnswer>('generate_image', asked)).request;
  await indexed(made.id, 'succeeded');
});

describe.each(eras)('resources for an agent that speaks %o', (era) => {
  let agent: Agent;
  beforeAll(async () => {
    agent = await connect(user.key, era);
  });
  const read = (uri: string) => agent.client.readResource({ uri });

  it('are the images of the account, newest first', async () => {
    const { resources, nextCursor } = await agent.client.listResources();
    expect(nextCursor).toBeUndefined();
    expect(resources.map(({ uri, mimeType, size }) => ({ uri, mimeType, size }))).toEqual(
      made.images
        .map(({ id, media_type, bytes }) => ({
          uri: `foreman://images/${id}`,
          mimeType: media_type,
          size: bytes,
        }))
        .reverse(),
    );
    const { resourceTemplates } = await agent.client.listResourceTemplates();
    expect(resourceTemplates.map(({ uriTemplate }) => uriTemplate)).toEqual([
      'foreman://images/{id}',
      'foreman://requests/{id}',
    ]);
  });

  it('are the bytes of an image, and a request as JSON', async () => {
    const uri = `foreman://images/${made.images[1]?.id}`;
    const { contents } = await read(uri);
    const stored = await env.IMAGES.get(`images/${made.id}/1/1`);
    const blob = Buffer.from((await stored?.arrayBuffer()) ?? []).toString('base64');
    expect(contents).toEqual([{ uri, mimeType: 'image/png', blob }]);

    const request = `foreman://requests/${made.id}`;
    const [content] = (await read(request)).contents;
    expect(content?.mimeType).toBe('application/json');
    const text = content && 'text' in content ? content.text : '';
    expect(JSON.parse(text)).toEqual(await user.get(made.id));
  });

  it.each([
    () => `foreman://images/${made.images[0]?.id.replace(/_\d$/, '_7')}`,
    () => `foreman://requests/${newId('req', Date.now())}`,
    () => 'foreman://images/nothing',
    () => 'foreman://requests/nothing',
    () => 'foreman://styles/nothing',
  ])('that are not there are not found: %s', async (uriOf) => {
    const uri = uriOf();
    await expect(read(uri)).rejects.toThrow(ResourceNotFoundError);
  });

  it('of others are not found either', async () => {
    const other = await connect(stranger.key, era);
    const uris = [`foreman://images/${made.images[0]?.id}`, `foreman://requests/${made.id}`];
    for (const uri of uris) {
      await expect(other.client.readResource({ uri })).rejects.toThrow(ResourceNotFoundError);
    }
    expect((await other.client.listResources()).resources).toEqual([]);
  });

  it('cannot be listed while D1 is away, and can be read', async () => {
    Object.assign(faults, { d1: 'fail' });
    await expect(agent.client.listResources()).rejects.toMatchObject({
      code: -32603,
      message: expect.stringContaining('unavailable'),
    });
    const { contents } = await read(`foreman://images/${made.images[0]?.id}`);
    expect(contents).toHaveLength(1);
  });
});

describe('an image that is too large to be read', () => {
  it('is told of with the URL that opens it', async () => {
    const agent = await connect(user.key);
    const image = await uploadLarge();
    const uri = `foreman://images/${image}`;
    const { contents } = await agent.client.readResource({ uri });
    expect(contents).toEqual([
      {
        uri,
        mimeType: 'text/plain',
        text: expect.stringMatching(/has 4000000 bytes.+\/content\?expires=\d+&signature=/),
      },
    ]);
  });
});

/** No picture that could be made smaller, for all that its first bytes say. */
async function uploadLarge(): Promise<string> {
  const response = await exports.default.fetch('http://localhost/v1/images', {
    method: 'POST',
    headers: { authorization: `Bearer ${user.key}`, 'content-type': 'image/png' },
    body: pngOf(4_000_000),
  });
  expect(response.status).toBe(201);
  return (await response.json<{ id: string }>()).id;
}

describe('more images than a page', () => {
  it('are listed page by page, each once', async () => {
    const many = await newClient();
    const agent = await connect(many.key);
    const ids: string[] = [];
    for (const prompt of ['one', 'two', 'three']) {
      const asked = { ...SMALL, n: 8, prompt };
      const { request } = await agent.data<RequestAnswer>('generate_image', asked);
      ids.push(...request.images.map(({ id }) => id));
      await indexed(request.id, 'succeeded');
    }
    const found: string[] = [];
    let cursor: string | undefined;
    let pages = 0;
    do {
      const params = cursor === undefined ? {} : { cursor };
      const page = await agent.client.request({ method: 'resources/list', params });
      found.push(...page.resources.map(({ name }) => name));
      cursor = page.nextCursor;
      pages += 1;
    } while (cursor !== undefined && pages < 5);
    expect([pages, found.toSorted()]).toEqual([2, ids.toSorted()]);
    await expect(
      agent.client.request({ method: 'resources/list', params: { cursor: 'nothing' } }),
    ).rejects.toMatchObject({ code: -32602 });
  });
});
