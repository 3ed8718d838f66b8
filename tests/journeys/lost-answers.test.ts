import { afterEach, describe, expect, it } from 'vitest';
import { faulted, faults } from '../support/worker';
import { http, image, newClient, objectKeys, openai, receiver, until, useWorld } from './support';

useWorld();

/** The platform may lose the answer of a call that was carried out; the stub then calls again. */
describe('an answer of the foreman that got lost', () => {
  const loseOne = (method: string) =>
    Object.assign(faults, { foreman: 'lose_answer', only: [method], times: 1 });

  afterEach(() => expect(faulted.foreman).toBe(1));

  it('submit: the request exists once', async () => {
    const client = await newClient();
    loseOne('submit');
    const { id } = await client.submit();
    await client.reached(id, 'succeeded');
    const [row] = await client.sql((sql) =>
      sql.exec('SELECT count(*) AS n FROM requests').toArray(),
    );
    expect(row?.n).toBe(1);
  });

  it('claim: the call is made without waiting for the lease to be lost', async () => {
    const calls = openai(image);
    const client = await newClient();
    loseOne('claim');
    const { id } = await client.submit({ model: 'gpt-image-1' });
    const request = await client.reached(id, 'succeeded');
    expect(request.attempts).toHaveLength(1);
    expect(calls).toHaveLength(1);
  });

  it('settle: the images that won are still there', async () => {
    const client = await newClient();
    loseOne('settle');
    const { id } = await client.submit();
    const request = await client.reached(id, 'succeeded');
    // What the consumer does with the repeated call's answer has no other sign than what it deletes.
    await client.submit().then((other) => client.reached(other.id, 'succeeded'));
    expect(await objectKeys(id)).toEqual([`images/${id}/1/0`]);
    expect((await http('GET', request.images[0]?.signed_url ?? '')).status).toBe(200);
  });

  it('settleDelivery: the delivery has one attempt', async () => {
    const hook = receiver();
    const client = await newClient();
    loseOne('settleDelivery');
    const { id } = await client.submit({ webhook_url: hook.url });
    await until(async () =>
      expect(await client.deliveries(id)).toMatchObject([
        { status: 'delivered', attempts: [{ status: 204 }] },
      ]),
    );
    expect(hook.posts).toHaveLength(1);
  });
});
