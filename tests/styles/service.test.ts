import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { auditEvent } from '../../src/accounts/audit/event';
import { createLogger } from '../../src/platform/log';
import { createStyleService } from '../../src/styles/service';
import { createStyleStore, type StyleStore } from '../../src/styles/store';
import { by } from '../support/foreman';
import { NOW, styleOf } from './support';

const store = createStyleStore(env.DB);

/** A service over the real D1, which can be made to fail or to hang, at a time of its own. */
function newIsolate() {
  const world = { now: NOW, d1: 'up' as 'up' | 'fails' | 'hangs', reads: 0, naps: 0 };
  const lines: string[] = [];
  const getOne: StyleStore['getOne'] = async (id) => {
    world.reads += 1;
    if (world.d1 === 'fails') throw new Error('D1 is down');
    if (world.d1 === 'hangs') await new Promise<never>(() => {});
    return store.getOne(id);
  };
  const service = createStyleService({
    knowsModel: (id) => id !== 'nobody-knows',
    store: { ...store, getOne },
    now: () => world.now,
    // Nobody waits here: either D1 hangs and the time is over at once, or it answers first.
    sleep: async (_, signal) => {
      world.naps += 1;
      if (world.d1 !== 'hangs') {
        await new Promise((resolve) => signal?.addEventListener('abort', resolve));
      }
    },
    log: createLogger((line) => lines.push(line)),
  });
  return { service, world, lines };
}

const content = { description: '', promptTemplate: '{prompt}', negativePrompt: null, defaults: {} };
const loud = { ...content, promptTemplate: '{prompt}!' };
const event = () => auditEvent(by, { action: 'style.changed', userId: null, target: 'ink' }, NOW);

beforeEach(async () => {
  await env.DB.exec('DELETE FROM styles');
});

describe('making a style', () => {
  it('is refused with a default model that nobody could use it with', async () => {
    const { service } = newIsolate();
    const useless = { ...content, defaults: { model: 'nobody-knows' } };
    const fault = { code: 'invalid_request', details: { errors: [{ path: 'defaults.model' }] } };
    await expect(service.create({ id: 'ink', content: useless, by })).rejects.toMatchObject(fault);
    await service.create({ id: 'ink', content, by });
    await expect(service.replace({ id: 'ink', content: useless, by })).rejects.toMatchObject(fault);
  });
});

describe('resolving a style', () => {
  it('asks D1 once in 30 s', async () => {
    const { service, world } = newIsolate();
    await store.createOne({ style: styleOf('ink'), event: event() });
    for (const later of [0, 1, 29_999]) {
      world.now = NOW + later;
      expect(await service.resolve('ink')).toEqual(styleOf('ink'));
    }
    expect(world.reads).toBe(1);
    world.now = NOW + 30_000;
    await service.resolve('ink');
    expect(world.reads).toBe(2);
  });

  it('sees within 30 s what another isolate changed or deleted', async () => {
    const [here, there] = [newIsolate(), newIsolate()];
    await there.service.create({ id: 'ink', content, by });
    await here.service.resolve('ink');
    await there.service.replace({ id: 'ink', content: loud, by });
    here.world.now += 30_000;
    expect(await here.service.resolve('ink')).toMatchObject({ promptTemplate: '{prompt}!' });
    await there.service.remove({ id: 'ink', by });
    here.world.now += 30_000;
    expect(await here.service.resolve('ink')).toBeNull();
  });

  it('sees at once what its own isolate changed or deleted', async () => {
    const { service } = newIsolate();
    expect(await service.resolve('ink')).toBeNull();
    await service.create({ id: 'ink', content, by });
    expect(await service.resolve('ink')).toMatchObject({ promptTemplate: '{prompt}' });
    await service.replace({ id: 'ink', content: loud, by });
    expect(await service.resolve('ink')).toMatchObject({ promptTemplate: '{prompt}!' });
    await service.remove({ id: 'ink', by });
    expect(await service.resolve('ink')).toBeNull();
  });

  it.each(['fails', 'hangs'] as const)('uses a copy of any age while D1 %s', async (d1) => {
    const { service, world, lines } = newIsolate();
    await store.createOne({ style: styleOf('ink'), event: event() });
    await service.resolve('ink');
    Object.assign(world, { d1, now: NOW + 10 ** 10 });
    expect(await service.resolve('ink')).toEqual(styleOf('ink'));
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { event: 'style.copy_used', style_id: 'ink' },
    ]);
    Object.assign(world, { d1: 'up' });
    await store.updateOne({
      style: styleOf('ink', { promptTemplate: '{prompt}!' }),
      event: event(),
    });
    expect(await service.resolve('ink')).toMatchObject({ promptTemplate: '{prompt}!' });
  });

  it('says that it cannot when D1 fails and there is no copy', async () => {
    const { service, world } = newIsolate();
    world.d1 = 'fails';
    await expect(service.resolve('ink')).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('waits for no D1 that hangs when there is no copy, and asks it again', async () => {
    const { service, world } = newIsolate();
    await store.createOne({ style: styleOf('ink'), event: event() });
    world.d1 = 'hangs';
    await expect(service.resolve('ink')).rejects.toMatchObject({
      code: 'unavailable',
      details: { retryAfterMs: 5_000 },
    });
    expect(world.naps).toBe(1);
    world.d1 = 'up';
    expect(await service.resolve('ink')).toEqual(styleOf('ink'));
  });

  it('does not bring a deleted style back when D1 fails', async () => {
    const { service, world } = newIsolate();
    await service.create({ id: 'ink', content, by });
    await service.remove({ id: 'ink', by });
    world.d1 = 'fails';
    await expect(service.resolve('ink')).rejects.toMatchObject({ code: 'unavailable' });
  });

  it.each(['', 'Ink', '../ink', 'x'.repeat(10_000)])('asks nobody for %j', async (id) => {
    const { service, world } = newIsolate();
    expect(await service.resolve(id)).toBeNull();
    expect(world.reads).toBe(0);
  });
});

describe('the store of styles', () => {
  it('gives back what it was given', async () => {
    const style = styleOf('full', {
      description: 'a "style"',
      negativePrompt: 'text, blur',
      defaults: { model: 'sketch', width: 512, height: 256, steps: 4, guidance_scale: 2.5 },
    });
    expect(await store.createOne({ style, event: event() })).toBe(true);
    expect(await store.getOne('full')).toEqual(style);
  });

  it('keeps the first of a name, and its age when it is replaced', async () => {
    await store.createOne({ style: styleOf('ink'), event: event() });
    expect(
      await store.createOne({ style: styleOf('ink', { description: 'second' }), event: event() }),
    ).toBe(false);
    expect(await store.getOne('ink')).toEqual(styleOf('ink'));
    const updated = styleOf('ink', { description: 'new', updatedAt: NOW + 1, createdAt: NOW + 1 });
    expect(await store.updateOne({ style: updated, event: event() })).toEqual({
      ...updated,
      createdAt: NOW,
    });
  });

  it('says of a style that is not there that it is not there', async () => {
    expect(await store.getOne('ink')).toBeNull();
    expect(await store.updateOne({ style: styleOf('ink'), event: event() })).toBeNull();
    expect(await store.deleteOne({ id: 'ink', event: event() })).toBe(false);
  });
});
