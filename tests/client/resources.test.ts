// The methods of the client, each against the route that it is for.
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { ForemanError, type ForemanRequest } from '../../src/client/index';
import {
  type Client,
  held,
  newClient,
  openai,
  receiver,
  until,
  useWorld,
} from '../journeys/support';
import { answered, boat, foremanOn, lineWith, lost, painted } from './support';

useWorld();

let client: Client;
beforeAll(async () => {
  client = await newClient();
});

describe('requests', () => {
  it('follow ends with the last version', async () => {
    const gate = held();
    openai(gate.answer);
    const foreman = foremanOn(lineWith(), client);
    const { id } = await foreman.requests.submit(painted);
    const seen: ForemanRequest[] = [];
    for await (const request of foreman.requests.follow(id)) {
      seen.push(request);
      if (request.status === 'running') gate.open();
    }
    expect(seen.at(-1)?.status).toBe('succeeded');
    expect(await foreman.requests.wait(id)).toEqual(seen.at(-1));
    const versions = seen.map(({ version }) => version);
    expect(versions).toEqual([...new Set(versions)]);
  });

  it('are listed lazily, page by page, each once', async () => {
    const owner = await newClient();
    const line = lineWith();
    const foreman = foremanOn(line, owner);
    const labelled = { ...boat, metadata: { set: 'a' } };
    const made = [];
    for (const fields of [labelled, labelled, labelled, boat]) {
      made.push((await foreman.generate(fields)).request.id);
    }
    const query = { limit: 2, metadata: { set: 'a' } };
    await until(async () => {
      const { items } = await foreman.requests.list({ include_total: 'true' });
      expect(items).toHaveLength(4);
    });
    line.calls.length = 0;
    const found: string[] = [];
    for await (const { id } of foreman.requests.all(query)) {
      found.push(id);
      expect(line.calls).toHaveLength(found.length > 2 ? 2 : 1);
    }
    expect(found).toEqual(made.slice(0, 3).reverse());
  });

  it('are canceled, retried once whatever gets lost, and deleted', async () => {
    openai(held().answer);
    const foreman = foremanOn(lineWith(), client);
    const { id } = await foreman.requests.submit(painted);
    expect((await foreman.requests.cancel(id)).status).toBe('canceled');
    const line = lineWith(lost);
    const again = await foremanOn(line, client).requests.retry(id);
    expect(again.retry_of).toBe(id);
    expect(line.calls).toHaveLength(2);
    await foreman.requests.cancel(again.id);
    await foreman.requests.delete(id);
    await expect(foreman.requests.get(id)).rejects.toMatchObject({ status: 404 });
  });

  it('can be planned, and nothing is accepted', async () => {
    const plan = await foremanOn(lineWith(), client).requests.plan(boat);
    expect(plan).toMatchObject({ dry_run: true, model: 'sketch' });
  });
});

it('images are uploaded, read, converted, linked, listed and deleted', async () => {
  const foreman = foremanOn(lineWith(), client);
  const { images } = await foreman.generate(boat);
  const [made] = images;
  if (!made) throw new Error('there is no image');
  const blob = await foreman.images.content(made.id);
  expect([blob.size, blob.type]).toEqual([made.bytes, made.media_type]);
  const webp = await foreman.images.content(made.id, { format: 'webp' });
  expect(webp.type).toBe('image/webp');

  const bytes = new Uint8Array(await blob.arrayBuffer());
  const uploaded = await foreman.images.upload(bytes, 'image/png');
  expect(uploaded).toMatchObject({ sha256: made.sha256, request_id: null });
  expect((await foreman.images.upload(blob)).id).toBe(uploaded.id);
  expect((await foreman.images.get(uploaded.id)).bytes).toBe(made.bytes);
  const link = await foreman.images.link(made.id, { expires_in_seconds: 60 });
  expect(link.url).toContain(made.id);

  const listed = [];
  for await (const { id } of foreman.images.all({ source: 'upload' })) listed.push(id);
  expect(listed).toEqual([uploaded.id]);
  await foreman.images.delete(uploaded.id);
  await expect(foreman.images.get(uploaded.id)).rejects.toMatchObject({ code: 'not_found' });
});

it('webhook endpoints are made once, changed, pinged, rotated, switched and deleted', async () => {
  const { url, posts } = receiver();
  const foreman = foremanOn(lineWith(lost), client);
  const made = await foreman.webhooks.create({ url, events: ['request.succeeded'] });
  expect((await foreman.webhooks.list()).items.map(({ id }) => id)).toEqual([made.id]);
  expect(await foreman.webhooks.update(made.id, { description: 'mine' })).toMatchObject({
    description: 'mine',
  });
  expect(await foreman.webhooks.ping(made.id)).toMatchObject({ ok: true, status: 204 });
  expect(posts).toHaveLength(1);
  expect((await foreman.webhooks.disable(made.id)).status).toBe('disabled');
  expect((await foreman.webhooks.enable(made.id)).status).toBe('active');
  const rotated = await foreman.webhooks.rotateSecret(made.id, { overlap_seconds: 0 });
  expect(rotated.secret).not.toBe(made.secret);
  const { items } = await foreman.webhooks.deliveries(made.id);
  const [delivery] = items;
  expect(delivery?.type).toBe('endpoint.ping');
  expect(await foreman.webhooks.get(made.id)).toMatchObject({ id: made.id });
  await foreman.webhooks.delete(made.id);
  await expect(foreman.webhooks.get(made.id)).rejects.toBeInstanceOf(ForemanError);
});

it('keys are for the operator: issued, rotated, listed and revoked', async () => {
  const operator = foremanOn(lineWith(), { key: env.ADMIN_TOKEN });
  const issued = await operator.keys.create(client.userId, { name: 'second' });
  const rotated = await operator.keys.rotate(client.userId, issued.id, { overlap_seconds: 0 });
  expect(rotated.replaces).toBe(issued.id);
  const me = await foremanOn(lineWith(), rotated).me();
  expect(me.user.id).toBe(client.userId);
  await operator.keys.revoke(client.userId, rotated.id);
  const { items } = await operator.keys.list(client.userId);
  expect(items.find(({ id }) => id === rotated.id)?.revoked_at).not.toBeNull();
});

it('models, usage and every other route are there, with their types', async () => {
  const foreman = foremanOn(lineWith(), client);
  expect((await foreman.models.list()).items.map(({ id }) => id)).toContain('sketch');
  expect(Array.isArray((await foreman.usage({ group_by: 'model' })).items)).toBe(true);
  const { data } = await foreman.http.GET('/v1/styles');
  expect(data?.next_cursor).toBeNull();
});

it.each([200, 404])('a %i that is not Foreman’s is an error of its own', async (status) => {
  const headers = { 'content-type': 'text/html; charset=utf-8' };
  const stranger: typeof fetch = async () => new Response('<h1>Hi</h1>', { status, headers });
  const fault = await foremanOn({ fetch: stranger }, client)
    .me()
    .catch((error: unknown) => error);
  expect(fault).toMatchObject({ status, code: 'unexpected_answer', problem: null });
});

it('a call stays where it was sent: a redirect would make something else of it', async () => {
  const line = lineWith(answered(301, { location: 'https://elsewhere.test/v1/requests' }));
  const fault = await foremanOn(line, client)
    .requests.submit(boat)
    .catch((error: unknown) => error);
  expect(fault).toMatchObject({ status: 301, code: 'unexpected_answer' });
  expect(line.requests.map(({ redirect }) => redirect)).toEqual(['manual']);
});

it('a key is in no error, not even when no header can carry it', () => {
  const foreman = () => foremanOn(lineWith(), { key: 'fm_secret\r\nfm_other' });
  expect(foreman).toThrow(/^(?!.*fm_).*apiKey/);
});
