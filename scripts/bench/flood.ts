// What one user's flood costs another, and what many submissions at once do to a budget and to an
// idempotency key. One server, one run: a user sends requests one by one, alone; then again while
// another submits 5,000; at a target that takes any number of calls, and at one that takes few. What
// must hold exactly is counted at the provider; a count that is off ends the script.
//
//   npm run bench:flood [-- --requests 5000]
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { type Server, startServer } from '../../tests/e2e/support/server.ts';
import { type FakeOpenAi, startFakeOpenAi } from '../../tests/support/fake-openai.ts';
import { floodOneKey, spendAtOnce } from './flood-counts.ts';
import { type Fairness, meetFlood } from './flood-fairness.ts';

export interface Scene {
  readonly server: Server;
  readonly provider: FakeOpenAi;
}

/** How long the provider takes for every call. */
const CALL_MS = 300;
const PRICE_USD = 0.01;
const NARROW = 4;
/** Besides one call of the provider. */
const AIM_MS = 1_000;

const target = (model: string) => ({
  provider: 'openai',
  model,
  price: [{ per: 'image', usd: PRICE_USD }],
});

const settings = (provider: FakeOpenAi) => ({
  OPENAI_API_KEY: 'flood',
  OPENAI_BASE_URL: provider.baseUrl,
  MODEL_CATALOG: JSON.stringify({
    models: [
      { id: 'wide', targets: [target('gpt-image-wide')] },
      { id: 'narrow', targets: [{ ...target('gpt-image-narrow'), concurrency: NARROW }] },
    ],
  }),
});

function printFairness(results: Readonly<Record<string, Fairness>>): void {
  console.log(
    '\nMilliseconds from the acceptance of a lone request to the start of its call (queueing), and\n' +
      'until it had succeeded (whole), alone and while another user has thousands waiting.',
  );
  const rows = Object.entries(results).flatMap(([name, { alone, flooded, flood }]) => [
    [`${name}, alone`, { requests: alone.count, ...shown(alone) }],
    [`${name}, flooded`, { requests: flooded.count, ...shown(flooded), ...flood }],
  ]);
  console.table(Object.fromEntries(rows));
  for (const [name, { alone, flooded }] of Object.entries(results)) {
    const ratio = (flooded.whole.p50 / alone.whole.p50).toFixed(2);
    const isMet = flooded.queueing.max < AIM_MS + CALL_MS;
    console.log(
      `${name}: the longest queueing was ${flooded.queueing.max} ms (aim: below ${AIM_MS + CALL_MS}, ` +
        `${isMet ? 'met' : 'NOT met'}); whole p50 ${ratio}× of alone`,
    );
  }
}

const shown = ({ queueing, whole }: Fairness['alone']) => ({
  'queueing p50': queueing.p50,
  'queueing p95': queueing.p95,
  'queueing max': queueing.max,
  'whole p50': whole.p50,
});

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { requests: { type: 'string', default: '5000' } } });
  const requests = Math.min(20_000, Math.max(100, Number(values.requests) || 0));
  const stops: (() => Promise<void>)[] = [];
  try {
    const provider = await startFakeOpenAi({ delayMs: CALL_MS });
    stops.unshift(provider.close);
    const server = await startServer(settings(provider));
    stops.unshift(server.close);
    const scene: Scene = { server, provider };
    console.log(`${availableParallelism()} cores; a call takes ${CALL_MS} ms`);
    printFairness({
      'any number of calls': await meetFlood(scene, { model: 'wide', requests }),
      [`${NARROW} calls at once`]: await meetFlood(scene, { model: 'narrow', requests }),
    });
    console.log('\n200 submissions at once with money for 50, and 100 with one idempotency key:');
    const reject = await spendAtOnce(scene, { onBudget: 'reject', priceUsd: PRICE_USD });
    const wait = await spendAtOnce(scene, { onBudget: 'wait', priceUsd: PRICE_USD });
    console.table({ 'on_budget: reject': reject, 'on_budget: wait': wait });
    console.table({ 'one key': await floodOneKey(scene) });
  } finally {
    for (const stop of stops) await stop();
  }
}

await main();
process.exit(0);
