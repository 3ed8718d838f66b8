// One user's flood, and what another's requests meet meanwhile.
import type { Api, RequestView } from '../../tests/e2e/support/api.ts';
import { inParallel, until } from '../../tests/e2e/support/until.ts';
import type { Scene } from './flood.ts';
import { type Latency, latencyOf } from './latency.ts';

interface Series {
  readonly count: number;
  readonly queueing: Latency;
  readonly whole: Latency;
}

export interface Fairness {
  readonly alone: Series;
  readonly flooded: Series;
  readonly flood: { readonly submitted: number; readonly 'seconds to submit': number };
}

const LONE_REQUESTS = 20;
/** Few enough for two cores to go on answering somebody else. */
const IN_FLIGHT = 20;
const PAUSE_MS = 500;
const ENDS_WITHIN_MS = 60_000;

type Ended = RequestView & { readonly completed_at: string };

const body = (model: string) => ({ model, prompt: 'a boat', width: 64, height: 64 });

export async function meetFlood(
  { server, provider }: Scene,
  { model, requests }: { readonly model: string; readonly requests: number },
): Promise<Fairness> {
  const lone = await server.createUser();
  const flooding = await server.createUser({
    max_running: 10,
    max_waiting: requests,
    burst: requests,
  });
  await oneByOne(lone.api, model, 3);
  const alone = seriesOf(await oneByOne(lone.api, model, LONE_REQUESTS));

  const began = performance.now();
  const submitting = flood(flooding.api, model, requests).then(() => performance.now() - began);
  await until('the flood runs', () => provider.open() > 0);
  const flooded = seriesOf(await oneByOne(lone.api, model, LONE_REQUESTS));
  const submitMs = await submitting;
  // What is left of it is nobody's measure: it ends with its user's suspension.
  await server.admin.post(`/v1/admin/users/${flooding.id}/suspend`);
  await until('the flood is over', () => provider.open() === 0, ENDS_WITHIN_MS);
  const seconds = Number((submitMs / 1_000).toFixed(1));
  return { alone, flooded, flood: { submitted: requests, 'seconds to submit': seconds } };
}

async function flood(api: Api, model: string, requests: number): Promise<void> {
  const numbers = Array.from({ length: requests }, (_, number) => number);
  const statuses = await inParallel(numbers, IN_FLIGHT, async () => {
    return (await api.post('/v1/requests', body(model))).status;
  });
  const refused = statuses.filter((status) => status !== 202);
  if (refused.length > 0) throw new Error(`${refused.length} of the flood were not accepted`);
}

async function oneByOne(api: Api, model: string, count: number): Promise<Ended[]> {
  const ended: Ended[] = [];
  for (let number = 0; number < count; number += 1) {
    const { body: accepted } = await api.post('/v1/requests', body(model));
    const request = await until(
      'a lone request has ended',
      async () => {
        const { body: now } = await api.get<Ended>(`/v1/requests/${accepted.id}`);
        return now.completed_at === null ? null : now;
      },
      ENDS_WITHIN_MS,
    );
    if (request.status !== 'succeeded') throw new Error(`${request.id} ended ${request.status}`);
    ended.push(request);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  return ended;
}

function seriesOf(requests: readonly Ended[]): Series {
  const since = ({ created_at }: Ended, at: string | undefined) =>
    Date.parse(at ?? '') - Date.parse(created_at);
  return {
    count: requests.length,
    queueing: latencyOf(requests.map((ended) => since(ended, ended.attempts[0]?.started_at))),
    whole: latencyOf(requests.map((ended) => since(ended, ended.completed_at))),
  };
}
