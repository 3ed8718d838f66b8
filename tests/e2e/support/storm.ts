/**
 * Many requests at providers that fail, and what must be true of each when it has ended. A request
 * is known by its number: it is in the correlation id, in the key and in the size of its image.
 */
import { type FakeCall, type FakeOpenAi, modes } from '../../support/fake-openai.ts';
import type { Api, RequestView } from './api.ts';
import { inParallel, until } from './until.ts';

export const PROVIDER_TIMEOUT_MS = 1_500;
const PRICE_USD = 0.01;
const SIZES_IN_A_ROW = 20;
const SMALLEST_SIDE = 64;
const ENDS_WITHIN_MS = 180_000;

/** Names of the two in the ledger. `second` speaks the same protocol as `first`. */
export interface Providers {
  readonly openai: FakeOpenAi;
  readonly compatible?: FakeOpenAi;
}

/** `one`: the first provider alone. `two`: the first, then the second. `other`: a breaker apart. */
export type StormModel = 'one' | 'two' | 'other';

const target = (provider: keyof Providers, model: string) => ({
  provider,
  model,
  price: [{ per: 'image', usd: PRICE_USD }],
});
export const FIRST = { provider: 'openai', model: 'gpt-image-storm' } as const;
export const SECOND = { provider: 'compatible', model: 'steady' } as const;

export function stormSettings({ openai, compatible }: Providers): Record<string, string> {
  const first = target(FIRST.provider, FIRST.model);
  const models = [
    { id: 'one', targets: [first] },
    { id: 'two', targets: [first, target(SECOND.provider, SECOND.model)] },
    { id: 'other', targets: [target('openai', 'gpt-image-other')] },
  ];
  return {
    PROVIDER_TIMEOUT_MS: String(PROVIDER_TIMEOUT_MS),
    MODEL_CATALOG: JSON.stringify({ models }),
    OPENAI_API_KEY: 'storm',
    OPENAI_BASE_URL: openai.baseUrl,
    COMPATIBLE_API_KEY: compatible ? 'storm' : '',
    COMPATIBLE_BASE_URL: compatible?.baseUrl ?? '',
  };
}

export interface Ended extends RequestView {
  completed_at: string;
  expires_at: string;
}

export interface Storm {
  readonly api: Api;
  readonly model: StormModel;
  /** Tells the requests of one storm from another's. */
  readonly name: string;
}

export const numbersTo = (count: number) => Array.from({ length: count }, (_, number) => number);

export const submitOne = ({ api, model, name }: Storm, number: number): Promise<RequestView> =>
  api.submit(
    {
      model,
      prompt: 'a storm over the harbour',
      width: SMALLEST_SIDE + (number % SIZES_IN_A_ROW),
      height: SMALLEST_SIDE + Math.floor(number / SIZES_IN_A_ROW),
      max_attempts: 10,
    },
    { 'x-correlation-id': correlationOf(name, number), 'idempotency-key': `${name}-${number}` },
  );

export async function endOf({ api }: Pick<Storm, 'api'>, id: string): Promise<Ended> {
  await api.ended(id, ENDS_WITHIN_MS);
  return (await api.get<Ended>(`/v1/requests/${id}`)).body;
}

/** All of them at once, as far as the client has connections. In the order of their numbers. */
export async function runAtOnce(storm: Storm, count: number): Promise<Ended[]> {
  const accepted = await inParallel(numbersTo(count), 20, (number) => submitOne(storm, number));
  return inParallel(accepted, 50, ({ id }) => endOf(storm, id));
}

/** The next is submitted when one has ended, so that none has to wait for a slot. */
export const runInTurns = (
  storm: Storm,
  numbers: readonly number[],
  inFlight: number,
): Promise<Ended[]> =>
  inParallel(numbers, inFlight, async (number) =>
    endOf(storm, (await submitOne(storm, number)).id),
  );

const correlationOf = (name: string, number: number) => `${name}-${number}`;

export interface Call extends FakeCall {
  readonly provider: string;
}

/** What the providers saw of one request, in order: it has one call out at a time. */
export function callsOf(providers: Providers, name: string, number: number): Call[] {
  const correlation = correlationOf(name, number);
  return Object.entries(providers)
    .flatMap(([provider, fake]: [string, FakeOpenAi]) =>
      fake.calls
        .filter(({ headers }) => headers['x-correlation-id'] === correlation)
        .map((call) => ({ ...call, provider })),
    )
    .sort((a, b) => a.at - b.at);
}

export const isHang = ({ behaviour }: FakeCall) =>
  behaviour.mode === 'hang' || behaviour.mode === 'hang-after-body';
export const isBilled = ({ behaviour }: FakeCall) => modes[behaviour.mode] === 'all';

/** Where the ledger of a request that no crash has touched, and its providers' count, differ. */
export function disagreements(request: Ended, calls: readonly Call[]): string[] {
  const ledger = request.attempts.map(({ provider, outcome, possibly_billed }) =>
    lineOf(provider, outcome, possibly_billed),
  );
  const seen = calls.map((call) => lineOf(call.provider, outcomeOf(call), isHang(call)));
  const hangs = calls.filter(isHang).length;
  const cost = (1 + hangs) * PRICE_USD;
  const checks: [isTrue: boolean, otherwise: string][] = [
    [request.status === 'succeeded', `${request.status} ${request.error?.code}`],
    [request.completed_at <= request.expires_at, 'ended after its deadline'],
    [request.images.length === 1, `${request.images.length} images`],
    [ledger.join() === seen.join(), `the ledger says [${ledger}], the providers [${seen}]`],
    [calls.filter(isBilled).length <= 1 + hangs, 'paid twice'],
    [Math.abs(request.cost_usd - cost) < 1e-9, `costs ${request.cost_usd} and should ${cost}`],
    ...earlyCalls(calls).map((early): [boolean, string] => [false, early]),
  ];
  return checks.flatMap(([isTrue, otherwise]) => (isTrue ? [] : [`${request.id}: ${otherwise}`]));
}

const lineOf = (provider: string, outcome: string | null, possiblyBilled: boolean) =>
  `${provider} ${outcome}${possiblyBilled ? ' possibly billed' : ''}`;

function outcomeOf({ behaviour: { mode } }: FakeCall): string {
  switch (mode) {
    case 'ok':
      return 'succeeded';
    case 500:
    case 503:
      return 'failed';
    case 429:
      return 'throttled';
    case 'hang':
    case 'hang-after-body':
      return 'unknown';
    default:
      throw new Error(`${mode} is no part of a storm`);
  }
}

/** Calls to a provider before the time that its 429 asked this very request to wait for. */
function earlyCalls(calls: readonly Call[]): string[] {
  return calls.flatMap((call, index) => {
    const next = calls.slice(index + 1).find(({ provider }) => provider === call.provider);
    const earliest = askedUntil(call);
    if (!next || next.at >= earliest) return [];
    return [`called ${earliest - next.at} ms before its Retry-After was over`];
  });
}

function askedUntil({ at, behaviour: { retryAfter, retryAfterMs } }: FakeCall): number {
  if (retryAfterMs !== undefined) return at + Number(retryAfterMs);
  if (retryAfter === undefined) return 0;
  return /^\d+$/.test(retryAfter) ? at + Number(retryAfter) * 1_000 : Date.parse(retryAfter);
}

/** Each number has a size of its own, so one picture cannot pass for another's. Null: the right one. */
export async function wrongImage(
  { api }: Pick<Storm, 'api'>,
  providers: Providers,
  of: { readonly request: RequestView; readonly number: number },
): Promise<string | null> {
  const { request, number } = of;
  const width = SMALLEST_SIDE + (number % SIZES_IN_A_ROW);
  const height = SMALLEST_SIDE + Math.floor(number / SIZES_IN_A_ROW);
  const made = await fetch(new URL(`/files/${width}x${height}.png`, providers.openai.baseUrl));
  const kept = await api.fetch(request.images[0]?.url ?? '/no-image');
  const [theirs, ours] = [made, kept].map(async (response) => Buffer.from(await response.bytes()));
  if (kept.status === 200 && (await ours)?.equals((await theirs) ?? Buffer.alloc(0))) return null;
  return `${request.id}: its image (${kept.status}) is not the ${width}x${height} the provider made`;
}

export interface BreakerState {
  readonly id: string;
  readonly state: string;
  readonly reason: string | null;
  readonly opened_at: string | null;
  readonly last_success_at: string | null;
}

export async function breakerOf(
  admin: Api,
  { provider, model }: { readonly provider: string; readonly model: string },
): Promise<BreakerState> {
  const { body } = await admin.get<{ items: BreakerState[] }>('/v1/admin/breakers');
  const found = body.items.find(({ id }) => id === `${provider}/${model}`);
  if (!found) throw new Error(`${provider}/${model} has no breaker`);
  return found;
}

export const breakerIs = (
  admin: Api,
  of: { readonly provider: string; readonly model: string },
  state: string,
  limitMs = 20_000,
) =>
  until(
    `the breaker of ${of.provider} is ${state}`,
    async () => {
      const breaker = await breakerOf(admin, of);
      return breaker.state === state && breaker;
    },
    limitMs,
  );
