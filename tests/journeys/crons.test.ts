import { env } from 'cloudflare:workers';
import { describe, expect, it, vi } from 'vitest';
import { faulted, faults } from '../support/worker';
import {
  advance,
  count,
  http,
  indexed,
  indexRow,
  newClient,
  objectKeys,
  runCrons,
  until,
  useWorld,
} from './support';

useWorld();

const DAY_MS = 86_400_000;

describe('the sweep of late requests', () => {
  it('wakes the foreman of a request that D1 shows live long after its deadline', async () => {
    const client = await newClient();
    faults.generation = 'swallow';
    const { id } = await client.submit({ deadline_seconds: 60 });
    await indexed(id, 'queued');
    // Out of memory, and with an alarm that never came.
    await client.sql((_, state) => state.storage.deleteAlarm());
    await client.evict();
    advance(60_000 + 299_000);
    await runCrons();
    expect((await indexRow(id))?.status).toBe('queued');
    advance(2_000);
    await runCrons();
    // Set by the constructor; the pool's own clock has not come that far.
    await client.alarm();
    await indexed(id, 'expired');
    expect(await client.get(id)).toMatchObject({ status: 'expired' });
  });

  it('tells D1 once more of what the foreman takes for confirmed', async () => {
    const client = await newClient();
    const { id } = await client.submit();
    await indexed(id, 'succeeded');
    // As after a restore of D1 from an hour before.
    await env.DB.prepare("UPDATE requests SET status = 'queued', version = 1 WHERE id = ?")
      .bind(id)
      .run();
    advance(900_000 + 300_001);
    await runCrons();
    await indexed(id, 'succeeded');
  });

  it('goes on with the other sweeps when one fails', async () => {
    const client = await newClient();
    const { id } = await client.submit();
    await indexed(id, 'succeeded');
    advance(31 * DAY_MS);
    Object.assign(faults, { d1: 'fail', times: 1 });
    await runCrons();
    expect(faulted.d1).toBe(1);
    expect(await objectKeys(id)).toEqual([]);
  });
});

describe('the sweep of images', () => {
  it('deletes what is past its retention, in R2 and in D1, and nothing else', async () => {
    const client = await newClient();
    const old = await client.submit();
    const { images } = await client.reached(old.id, 'succeeded');
    await until(async () => expect(await count('images', 'request_id = ?', old.id)).toBe(1));
    advance(29 * DAY_MS);
    const young = await client.submit();
    await client.reached(young.id, 'succeeded');
    await runCrons();
    expect(await objectKeys(old.id)).toHaveLength(1);
    advance(DAY_MS + 1);
    await runCrons();
    expect(await objectKeys(old.id)).toEqual([]);
    expect(await count('images', 'request_id = ?', old.id)).toBe(0);
    expect(await objectKeys(young.id)).toHaveLength(1);
    expect((await http('GET', images[0]?.signed_url ?? '')).status).toBeGreaterThanOrEqual(404);
  });
});

describe('the search for orphans', () => {
  it('brings back what D1 has lost, and tells of bytes that are gone', async () => {
    const client = await newClient();
    const [forgotten, lost] = [await client.submit(), await client.submit()];
    for (const { id } of [forgotten, lost]) {
      await client.reached(id, 'succeeded');
      await until(async () => expect(await count('images', 'request_id = ?', id)).toBe(1));
    }
    await env.DB.prepare('DELETE FROM images WHERE request_id = ?').bind(forgotten.id).run();
    await env.IMAGES.delete(await objectKeys(lost.id));
    advance(2 * DAY_MS + 1);
    const lines: { level: string; event: string; job?: string }[] = [];
    for (const level of ['info', 'error'] as const) {
      vi.spyOn(console, level).mockImplementation((line) => lines.push(JSON.parse(String(line))));
    }
    await runCrons();
    expect(await count('images', 'request_id = ?', forgotten.id)).toBe(1);
    expect(await count('images', 'request_id = ?', lost.id)).toBe(0);
    const said = (level: 'info' | 'error') => lines.filter((line) => line.level === level);
    expect(said('info').filter(({ job }) => job === 'orphaned_images')).toMatchObject([
      {
        level: 'info',
        event: 'cron.done',
        job: 'orphaned_images',
        counts: { orphans: 0, restored: 1, lost: 1 },
      },
    ]);
    expect(said('error')).toMatchObject([{ event: 'image.lost', request_id: lost.id }]);
  });
});
