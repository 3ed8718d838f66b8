import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import type { RequestView } from '../../src/requests/view';
import { endOf } from '../generation/breaker/support';
import { advance, type Client, held, newClient, openai, useWorld } from './support';

useWorld();

const model = 'gpt-image-1';
const SECOND = 1_000;

/** Runs of 10 s, two of them of 30 s. */
async function measured(count: number): Promise<void> {
  const endedAt = Date.now();
  const runs = Array.from({ length: count }, (_, index) => {
    const durationMs = (index < 2 ? 30 : 10) * SECOND;
    return endOf({ outcome: 'succeeded', startedAt: endedAt - durationMs, endedAt });
  });
  await env.BREAKER.getByName(`openai/${model}`).report(runs);
  // What this isolate was told of the target before is too old to go by.
  advance(5 * SECOND);
}

async function waitingBehind(client: Client, count: number): Promise<RequestView> {
  const ids: string[] = [];
  for (let index = 0; index <= count; index += 1) ids.push((await client.submit({ model })).id);
  await client.reached(ids[0] ?? '', 'running');
  return client.get(ids.at(-1) ?? '');
}

const etaOf = ({ waiting }: RequestView) => {
  const at = (time: string) => Math.round((Date.parse(time) - Date.now()) / SECOND);
  return waiting?.eta ? [at(waiting.eta.p50), at(waiting.eta.p90)] : null;
};

it('an estimate appears with the tenth run of the target, and goes by the place in the queue', async () => {
  const gate = held();
  openai(gate.answer);
  await measured(9);
  const early = await newClient({ max_running: 1 });
  expect((await waitingBehind(early, 1)).waiting).toMatchObject({ reason: 'queue', eta: null });

  await measured(1);
  const client = await newClient({ max_running: 1 });
  const second = await waitingBehind(client, 1);
  expect(second.waiting).toMatchObject({ reason: 'queue', position: 1 });
  expect(etaOf(second)).toEqual([10, 30]);
  const third = await client.submit({ model });
  expect(third.waiting).toMatchObject({ position: 2 });
  expect(etaOf(third)).toEqual([20, 40]);
  gate.open();
});

it('a request that has ended has no estimate', async () => {
  openai();
  await measured(10);
  const client = await newClient();
  const { id } = await client.submit({ model });
  expect((await client.reached(id)).waiting).toBeNull();
});

it('a foreman that was evicted has none until it hears of the target again', async () => {
  const gate = held();
  openai(gate.answer);
  await measured(10);
  const client = await newClient({ max_running: 1 });
  const second = await waitingBehind(client, 1);
  expect(etaOf(second)).not.toBeNull();
  await client.evict();
  expect((await client.get(second.id)).waiting).toMatchObject({ reason: 'queue', eta: null });
  gate.open();
});
