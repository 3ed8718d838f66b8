// A provider that is down for a while: requests that a second one can serve come at a steady rate,
// and others that have nobody else wait it out.
import type { Server } from '../../tests/e2e/support/server.ts';
import {
  breakerIs,
  callsOf,
  type Ended,
  endOf,
  FIRST,
  numbersTo,
  type Providers,
  runInTurns,
  SECOND,
  type Storm,
  submitOne,
} from '../../tests/e2e/support/storm.ts';
import { inParallel } from '../../tests/e2e/support/until.ts';
import { addedMs, type Latency, latencyOf } from './latency.ts';

const EVERY_MS = 200;
const SOLE_REQUESTS = 20;
const SOLE_EVERY_MS = 800;
/** An open breaker lets a probe go every 30 s. */
const CLOSES_WITHIN_MS = 45_000;
const GRACE_MS = 2_000;
/** Of those that have nobody else: their probes are not to end the others' outage. */
const OTHER = { provider: FIRST.provider, model: 'gpt-image-other' };

export interface Scene {
  readonly server: Server;
  readonly providers: Required<Providers>;
}

export interface Outage {
  readonly seconds: number;
  readonly everyMs: number;
  /** The provider that was down, as those met it that had a second one. */
  readonly first: {
    readonly openedAfterMs: number;
    readonly failuresUntilOpen: number;
    /** Of these, the ones more than two seconds after the last success. */
    readonly failuresUngraced: number;
    readonly callsWhileOpen: number;
    readonly closedAfterMs: number;
  };
  /** Those that were accepted between the opening and the provider's return. */
  readonly meanwhile: {
    readonly requests: number;
    readonly passedOver: number;
    readonly latency: Latency;
  };
  readonly sole: {
    readonly requests: number;
    readonly seenWaiting: number;
    readonly failuresUntilOpen: number;
    readonly probes: number;
    readonly doneAfterMs: number;
  };
}

interface Times {
  readonly lastSuccessAt: number;
  readonly openedAt: number;
  readonly otherOpenedAt: number;
  readonly backAt: number;
  readonly closedAt: number;
}

export async function goThroughOutage(scene: Scene, outageMs: number): Promise<Outage> {
  const { server, providers } = scene;
  const { api } = await server.createUser({ max_running: 200 });
  const two: Storm = { api, model: 'two', name: 'outage' };
  const sole: Storm = { api, model: 'other', name: 'outage-sole' };
  for (const fake of Object.values(providers)) fake.reset();
  await runInTurns({ ...two, name: 'before-outage' }, numbersTo(5), 1);

  providers.openai.setBehaviour({ mode: 503 });
  const over = new AbortController();
  const steady = submitSteadily(two, over.signal);
  const waiting = submitSole(sole);
  const opened = inParallel([FIRST, OTHER], 2, (of) => breakerIs(server.admin, of, 'open'));
  await sleep(outageMs);
  const soleAccepted = await waiting;
  const seen = await inParallel(soleAccepted, 5, (id) => api.read(id));
  providers.openai.setBehaviour({ mode: 'ok' });
  const backAt = Date.now();
  await breakerIs(server.admin, FIRST, 'closed', CLOSES_WITHIN_MS);
  const closedAt = Date.now();
  over.abort();

  const [openedAt = 0, otherOpenedAt = 0] = (await opened).map((b) => timeOf(b.opened_at));
  const lastSuccessAt = Math.max(...endsBefore(providers, openedAt));
  const times = { lastSuccessAt, openedAt, otherOpenedAt, backAt, closedAt };
  const ended = await Promise.all(await steady);
  const waited = await inParallel(soleAccepted, 20, (id) => endOf(sole, id));
  const lost = [...ended, ...waited].filter(({ status }) => status !== 'succeeded');
  if (lost.length > 0) throw new Error(`${lost.length} requests did not survive the outage`);
  const last = await runInTurns({ ...two, name: 'after-outage' }, [0], 1);
  if (last[0]?.attempts[0]?.provider !== FIRST.provider) {
    throw new Error(`${FIRST.provider} is not called first again`);
  }
  return {
    seconds: outageMs / 1_000,
    everyMs: EVERY_MS,
    first: firstOf(providers, times),
    meanwhile: meanwhileOf(providers, { ended, name: two.name }, times),
    sole: {
      ...soleOf(providers, waited, times),
      seenWaiting: seen.filter((request) => request.waiting?.reason === 'breaker_open').length,
    },
  };
}

/** One after another at a steady rate, whatever becomes of them. In the order of their numbers. */
async function submitSteadily(storm: Storm, over: AbortSignal) {
  const ends: Promise<Ended>[] = [];
  for (let number = 0; !over.aborted; number += 1) {
    ends.push(submitOne(storm, number).then(({ id }) => endOf(storm, id)));
    await sleep(EVERY_MS);
  }
  return ends;
}

async function submitSole(storm: Storm): Promise<string[]> {
  const ids: string[] = [];
  for (const number of numbersTo(SOLE_REQUESTS)) {
    ids.push((await submitOne(storm, number)).id);
    await sleep(SOLE_EVERY_MS);
  }
  return ids;
}

const callsTo = ({ openai }: Providers, model: string) =>
  openai.calls.filter(({ fields }) => fields.model === model);

const endsBefore = (providers: Providers, at: number) =>
  callsTo(providers, FIRST.model)
    .filter(({ behaviour, endedAt }) => behaviour.mode === 'ok' && (endedAt ?? at) < at)
    .map(({ endedAt }) => endedAt ?? 0);

function firstOf(providers: Providers, times: Times): Outage['first'] {
  const { lastSuccessAt, openedAt, backAt, closedAt } = times;
  const calls = callsTo(providers, FIRST.model);
  const early = calls.filter(({ at, behaviour }) => behaviour.mode === 503 && at <= openedAt);
  return {
    openedAfterMs: openedAt - lastSuccessAt,
    failuresUntilOpen: early.length,
    failuresUngraced: early.filter(({ endedAt }) => (endedAt ?? 0) > lastSuccessAt + GRACE_MS)
      .length,
    callsWhileOpen: calls.filter(({ at }) => at > openedAt && at < backAt).length,
    closedAfterMs: closedAt - backAt,
  };
}

function meanwhileOf(
  providers: Providers,
  { ended, name }: { readonly ended: readonly Ended[]; readonly name: string },
  { openedAt, backAt }: Times,
): Outage['meanwhile'] {
  const numbered = ended.map((request, number) => ({ request, number }));
  const meanwhile = numbered.filter(({ request }) => {
    const at = timeOf(request.created_at);
    return at > openedAt && at < backAt;
  });
  const added = meanwhile.map(({ request, number }) =>
    addedMs(request, callsOf(providers, name, number)),
  );
  return {
    requests: meanwhile.length,
    passedOver: meanwhile.filter(({ request }) => wasPassedOver(request)).length,
    latency: latencyOf(added),
  };
}

const wasPassedOver = ({ attempts: [only, other] }: Ended) =>
  other === undefined &&
  only?.provider === SECOND.provider &&
  only.reason.includes(`${FIRST.provider}/${FIRST.model} passed over: breaker`);

function soleOf(providers: Providers, waited: readonly Ended[], times: Times) {
  const failed = callsTo(providers, OTHER.model).filter(({ behaviour }) => behaviour.mode === 503);
  const early = failed.filter(({ at }) => at <= times.otherOpenedAt);
  const doneAt = Math.max(...waited.map(({ completed_at }) => timeOf(completed_at)));
  return {
    requests: waited.length,
    failuresUntilOpen: early.length,
    probes: failed.length - early.length,
    doneAfterMs: doneAt - times.backAt,
  };
}

const timeOf = (iso: string | null) => Date.parse(iso ?? '');
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
