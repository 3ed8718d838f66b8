import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import type { ProspectView } from '../../src/generation/prospect';
import { endOf } from '../generation/breaker/support';
import { faults } from '../support/worker';
import { type Client, newClient, openai, useWorld } from './support';

useWorld();

const pixel =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const noImage = `img_${'0'.repeat(27)}_1_0`;

interface Problem {
  readonly code: string;
  readonly detail: string;
  readonly errors?: readonly object[];
  readonly targets?: readonly object[];
}

const submit = (client: Client, path: string, body: object) =>
  client.call('POST', path, { body: { prompt: 'a boat', ...body } });
const dry = (client: Client, body: object) =>
  submit(client, '/v1/requests', { ...body, dry_run: true });

async function planFor(client: Client, body: object): Promise<ProspectView> {
  const response = await dry(client, body);
  expect(response.status).toBe(200);
  return response.json<ProspectView>();
}

async function problemOf(response: Response): Promise<[number, Problem]> {
  const { correlation_id: _, ...problem } = await response.json<
    Problem & { correlation_id: string }
  >();
  return [response.status, problem];
}

describe('a dry run', () => {
  it('is asked for in the query or in the body, and both answer the same plan', async () => {
    const client = await newClient();
    const body = { model: 'gpt-image-1', fallback_models: ['sketch'] };
    const plans = [
      await submit(client, '/v1/requests?dry_run=true', body),
      await submit(client, '/v1/requests', { ...body, dry_run: true }),
      await submit(client, '/v1/requests?dry_run=false', { ...body, dry_run: true }),
    ];
    const texts = await Promise.all(plans.map((plan) => plan.text()));
    expect(plans.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(new Set(texts).size).toBe(1);
    expect(JSON.parse(texts[0] ?? '')).toEqual({
      dry_run: true,
      model: 'gpt-image-1',
      targets: [
        {
          provider: 'openai',
          model: 'gpt-image-1',
          order: 1,
          skipped_reason: null,
          price_usd: 0.25,
          breaker: 'closed',
          eta_seconds: null,
        },
        {
          provider: 'sketch',
          model: 'sketch',
          order: 2,
          skipped_reason: null,
          price_usd: 0,
          breaker: null,
          eta_seconds: null,
        },
      ],
      price_usd: { min: 0, max: 0.25 },
      eta_seconds: null,
      warnings: [],
    });
  });

  it('accepts nothing: no request, no call, no rate token, no idempotency record', async () => {
    const calls = openai();
    const client = await newClient({ burst: 2, requests_per_minute: 0.001 });
    const headers = { 'idempotency-key': 'key', prefer: 'wait=5' };
    const body = { prompt: 'a boat', model: 'gpt-image-1', dry_run: true };
    for (let run = 0; run < 4; run += 1) {
      const response = await client.call('POST', '/v1/requests', { body, headers });
      expect(response.status).toBe(200);
      expect(response.headers.get('location')).toBeNull();
    }
    const tables = ['requests', 'idempotency', 'deliveries', 'reusable'];
    const counts = await client.sql((sql) =>
      tables.map((table) => sql.exec(`SELECT count(*) AS n FROM ${table}`).one().n),
    );
    expect(counts).toEqual([0, 0, 0, 0]);
    expect(calls).toEqual([]);
    const other = { ...body, dry_run: false, model: 'sketch', width: 64, height: 64 };
    const statuses: number[] = [];
    for (let run = 0; run < 3; run += 1) {
      statuses.push((await client.call('POST', '/v1/requests', { body: other })).status);
    }
    expect(statuses).toEqual([202, 202, 429]);
  });

  it('keeps no input image', async () => {
    const client = await newClient();
    await planFor(client, { model: 'gpt-image-1', image: pixel });
    const { objects } = await env.IMAGES.list();
    expect(objects.map(({ key }) => key).filter((key) => key.includes(client.userId))).toEqual([]);
  });

  it('says what was accepted and has no effect', async () => {
    const plan = await planFor(await newClient(), { model: 'sketch', reuse: 'exact' });
    expect(plan.warnings).toEqual(['reuse has no effect without seed']);
  });

  it('says which fallbacks and options nothing will come of', async () => {
    const plan = await planFor(await newClient(), {
      model: 'sketch',
      n: 2,
      fallback_models: ['dall-e-3', 'flux-dev'],
      provider_options: { openai: { quality: 'hd' }, fal: {}, xai: {} },
    });
    expect(plan.warnings).toEqual([
      'fallback_models.0 has no effect: none of its targets can serve this request',
      'fallback_models.1 has no effect: none of its targets can serve this request',
      'provider_options.openai has no effect: none of its targets can serve this request',
      'provider_options.fal has no effect: none of its targets can serve this request',
      'provider_options.xai has no effect: no target is of that provider',
    ]);
  });

  it('looks at no limits: a plan is no promise that they let it through', async () => {
    const client = await newClient({ images_per_day: 0 });
    const body = { model: 'sketch', width: 64, height: 64 };
    expect((await planFor(client, body)).targets).toMatchObject([{ order: 1 }]);
    expect((await submit(client, '/v1/requests', body)).status).toBe(429);
  });

  it('says why a target is skipped, and numbers the others in their order', async () => {
    const plan = await planFor(await newClient(), {
      model: 'dall-e-3',
      fallback_models: ['gpt-image-1', 'sketch'],
      n: 2,
      max_cost_usd: 0.05,
    });
    expect(
      plan.targets.map(({ model, order, skipped_reason }) => [model, order, skipped_reason]),
    ).toEqual([
      ['dall-e-3', null, 'makes at most 1 image(s) a request'],
      ['gpt-image-1', null, 'costs 0.5 USD, more than max_cost_usd'],
      ['sketch', 1, null],
    ]);
    expect(plan.price_usd).toEqual({ min: 0, max: 0 });
  });

  it('shows an open breaker, and tries its target last', async () => {
    const name = 'openai/gpt-image-1.5';
    const breaker = env.BREAKER.getByName(name);
    await breaker.report(Array.from({ length: 5 }, () => endOf()));
    const body = { model: 'gpt-image-1.5', fallback_models: ['gpt-image-2'] };
    const { targets } = await planFor(await newClient(), body);
    expect(targets.map(({ model, order, breaker: state }) => [model, order, state])).toEqual([
      ['gpt-image-1.5', 2, 'open'],
      ['gpt-image-2', 1, 'closed'],
    ]);
    expect(targets[0]?.skipped_reason).toBeTruthy();
    await breaker.reset();
    const after = await planFor(await newClient(), body);
    expect(after.targets[0]).toMatchObject({ order: 1, breaker: 'closed', skipped_reason: null });
  });

  it('takes no permit from a breaker', async () => {
    const client = await newClient();
    for (let run = 0; run < 3; run += 1) await planFor(client, { model: 'gpt-image-1-mini' });
    const view = await env.BREAKER.getByName('openai/gpt-image-1-mini').view(1);
    expect(view.inUse).toBe(0);
  });

  it('goes without the breakers when they do not answer', async () => {
    Object.assign(faults, { breaker: 'fail' });
    const { targets } = await planFor(await newClient(), { model: 'gpt-image-1' });
    expect(targets).toMatchObject([{ order: 1, breaker: null }]);
  });

  it('expects what the last runs took, once there are ten of them', async () => {
    const client = await newClient();
    const body = { model: 'gpt-image-2' };
    const breaker = env.BREAKER.getByName('openai/gpt-image-2');
    const endedAt = Date.now();
    const runs = (count: number) =>
      Array.from({ length: count }, (_, index) =>
        endOf({ outcome: 'succeeded', startedAt: endedAt - (index + 1) * 1_000, endedAt }),
      );
    await breaker.report(runs(9));
    expect((await planFor(client, body)).eta_seconds).toBeNull();
    await breaker.report(runs(1));
    const eta = { p50: 4, p90: 8 };
    const plan = await planFor(client, body);
    expect(plan).toMatchObject({ eta_seconds: eta, targets: [{ eta_seconds: eta }] });
  });
});

describe('what a submission would be refused for', () => {
  it.each<[string, object, number, string]>([
    ['a field that is wrong', { model: 'sketch', n: 9 }, 422, 'invalid_request'],
    ['two fields that do not go together', { model: 'sketch', width: 64 }, 422, 'invalid_request'],
    ['an unknown model', { model: 'gone' }, 422, 'unknown_model'],
    ['an unknown fallback', { model: 'sketch', fallback_models: ['gone'] }, 422, 'unknown_model'],
    ['an unknown style', { model: 'sketch', style: 'gone' }, 422, 'invalid_request'],
    ['an unknown original', { model: 'sketch', variations_of: 'req_1' }, 422, 'invalid_request'],
    ['what no target can do', { model: 'dall-e-3', n: 2 }, 422, 'no_target_available'],
    [
      'a limit below the cheapest',
      { model: 'gpt-image-1', max_cost_usd: 0.04 },
      422,
      'budget_exceeded',
    ],
    [
      'an image that is not there',
      { model: 'gpt-image-1', image: noImage },
      422,
      'invalid_request',
    ],
    ['an image that is none', { model: 'gpt-image-1', image: 'a boat' }, 422, 'invalid_request'],
    [
      'a mask that is cut short',
      { model: 'gpt-image-1', image: pixel, mask: pixel.slice(0, -24) },
      422,
      'invalid_request',
    ],
    ['a webhook inside', { model: 'sketch', webhook_url: 'ftp://a.test/' }, 422, 'invalid_request'],
  ])('a dry run is refused for, in the same words: %s', async (_, body, status, code) => {
    const client = await newClient();
    const answers = [
      await problemOf(await submit(client, '/v1/requests', body)),
      await problemOf(await submit(client, '/v1/requests?dry_run=true', body)),
      await problemOf(await dry(client, body)),
    ];
    expect(answers[0]).toMatchObject([status, { code }]);
    expect(answers[1]).toEqual(answers[0]);
    expect(answers[2]).toEqual(answers[0]);
  });

  it('names each target with its reason', async () => {
    const [, problem] = await problemOf(
      await dry(await newClient(), {
        model: 'dall-e-3',
        fallback_models: ['sketch'],
        mask: 'img_2',
        image: 'img_1',
      }),
    );
    expect(problem.targets).toEqual([
      { provider: 'openai', model: 'dall-e-3', reason: 'takes no input image' },
      { provider: 'sketch', model: 'sketch', reason: 'takes no input image' },
    ]);
  });

  it('names the price that a limit would have to be', async () => {
    const [, problem] = await problemOf(
      await dry(await newClient(), { model: 'gpt-image-1', n: 2, max_cost_usd: 0.499 }),
    );
    expect(problem.errors).toEqual([{ path: 'max_cost_usd', message: 'must be at least 0.5' }]);
  });
});

describe('a dry run of a limit', () => {
  it.each([
    [0.063, 200],
    [0.062_999, 422],
  ])('of %d USD for what costs 0.063 is answered %i', async (max_cost_usd, status) => {
    const provider_options = { openai: { quality: 'medium' } };
    const body = { model: 'gpt-image-1', aspect_ratio: '3:2', provider_options, max_cost_usd };
    const response = await dry(await newClient(), body);
    expect(response.status).toBe(status);
  });
});
