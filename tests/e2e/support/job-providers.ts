/**
 * The providers with jobs of their own, each with a fake that speaks its wire format over a socket,
 * and a server that has one model for each: `t-<name>`.
 */
import { startFakeBfl } from '../../support/fakes/bfl.ts';
import { FAKE_CHECKPOINT, startFakeComfyUi } from '../../support/fakes/comfyui.ts';
import { startFakeFal } from '../../support/fakes/fal.ts';
import { startFakeReplicate } from '../../support/fakes/replicate.ts';
import type { Fake, FakeCall } from '../../support/fakes/server.ts';
import { type Server, startServer } from './server.ts';
import { inParallel } from './until.ts';

type Facts = Readonly<Record<string, number>>;

/** Behaviours of the fake by what they mean. */
export interface Repertoire<Behaviour extends string> {
  /** The job goes on until it is finished. */
  readonly endless: Behaviour;
  readonly failing: Behaviour;
}

export interface JobProvider<Behaviour extends string = string> {
  readonly name: string;
  readonly start: () => Promise<Fake<Behaviour>>;
  readonly settings: (url: string) => Record<string, string>;
  /** Its own name of the model. */
  readonly model: string;
  /** In the catalogue. */
  readonly priceUsd: number;
  /** What an image costs in the end: some providers have their own word on it. */
  readonly costUsd: number;
  readonly behaviours: Repertoire<Behaviour>;
  readonly made: (facts: Facts) => number;
  /** Null where jobs cannot be canceled. */
  readonly canceled: ((facts: Facts) => number) | null;
  readonly isSubmission: (call: FakeCall) => boolean;
  readonly isPoll: (call: FakeCall) => boolean;
  readonly isCancel: (call: FakeCall) => boolean;
  readonly isImage: (call: FakeCall) => boolean;
  /** The job that a call asks after, by the provider's own id. */
  readonly jobIn: (call: FakeCall) => string | null;
  /** The callback URL in a submission; null where the provider calls nobody back. */
  readonly callbackIn: ((submission: FakeCall) => string) | null;
}

const matches = (pattern: RegExp) => (call: FakeCall) =>
  pattern.test(`${call.method} ${call.path}`);
const idIn =
  (pattern: RegExp) =>
  ({ path }: FakeCall) =>
    pattern.exec(path)?.[1] ?? null;
const bodyOf = ({ body }: FakeCall) => JSON.parse(body.toString());

const replicate: JobProvider<Behaviours<typeof startFakeReplicate>> = {
  name: 'replicate',
  start: startFakeReplicate,
  settings: (url) => ({ REPLICATE_API_TOKEN: 'r8_e2e', REPLICATE_BASE_URL: `${url}/v1` }),
  model: 'black-forest-labs/flux-schnell',
  priceUsd: 0.003,
  costUsd: 0.003,
  behaviours: { endless: 'endless', failing: 'failed' },
  made: ({ made = 0 }) => made,
  canceled: ({ canceled = 0 }) => canceled,
  isSubmission: matches(/^POST .*\/predictions$/),
  isPoll: matches(/^GET \/v1\/predictions\//),
  isCancel: matches(/^POST .*\/cancel$/),
  isImage: matches(/^GET \/pictures\//),
  jobIn: idIn(/^\/v1\/predictions\/(\w+)$/),
  callbackIn: (call) => bodyOf(call).webhook,
};

const fal: JobProvider<Behaviours<typeof startFakeFal>> = {
  name: 'fal',
  start: startFakeFal,
  settings: (url) => ({ FAL_KEY: 'e2e', FAL_BASE_URL: url }),
  model: 'fal-ai/flux/schnell',
  priceUsd: 0.025,
  costUsd: 0.025,
  behaviours: { endless: 'endless', failing: 'job-error' },
  made: ({ made = 0 }) => made,
  canceled: ({ canceled = 0 }) => canceled,
  isSubmission: matches(/^POST \/fal-ai\//),
  isPoll: matches(/^GET .*\/status$/),
  isCancel: matches(/^PUT .*\/cancel$/),
  isImage: matches(/^GET \/pictures\//),
  jobIn: idIn(/\/requests\/([\w-]+)\/status$/),
  callbackIn: ({ query }) => query.fal_webhook ?? '',
};

const bfl: JobProvider<Behaviours<typeof startFakeBfl>> = {
  name: 'bfl',
  start: startFakeBfl,
  settings: (url) => ({ BFL_API_KEY: 'e2e', BFL_BASE_URL: `${url}/v1` }),
  model: 'flux-2-pro',
  priceUsd: 0.05,
  costUsd: 0.04,
  behaviours: { endless: 'endless', failing: 'error' },
  made: ({ jobs = 0 }) => jobs,
  canceled: null,
  isSubmission: matches(/^POST \/v1\/flux/),
  isPoll: matches(/^GET \/v1\/get_result$/),
  isCancel: () => false,
  isImage: matches(/^GET \/samples\//),
  jobIn: ({ query }) => query.id ?? null,
  callbackIn: (call) => bodyOf(call).webhook_url,
};

const comfyui: JobProvider<Behaviours<typeof startFakeComfyUi>> = {
  name: 'comfyui',
  start: startFakeComfyUi,
  settings: (url) => ({ COMFYUI_BASE_URL: url }),
  model: FAKE_CHECKPOINT,
  priceUsd: 0,
  costUsd: 0,
  behaviours: { endless: 'running', failing: 'execution-error' },
  made: ({ jobs = 0 }) => jobs,
  canceled: ({ interrupted = 0 }) => interrupted,
  isSubmission: matches(/^POST \/prompt$/),
  isPoll: matches(/^GET \/queue$/),
  isCancel: matches(/^POST \/(queue|interrupt)$/),
  isImage: matches(/^GET \/view$/),
  jobIn: idIn(/^\/history\/(.+)$/),
  callbackIn: null,
};

type Behaviours<Start> = Start extends (port?: number) => Promise<Fake<infer B extends string>>
  ? B
  : never;

export interface FakedProvider extends JobProvider {
  readonly fake: Fake<string>;
  /** `t-<name>`. */
  readonly modelId: string;
}

const jobProviders: readonly JobProvider[] = [bfl, comfyui, fal, replicate];

const namesOf = (chosen: readonly JobProvider[]) => chosen.map(({ name }) => name);

/** For tables of tests, which are made before anything is started. */
export const names = {
  all: namesOf(jobProviders),
  callingBack: namesOf(jobProviders.filter(({ callbackIn }) => callbackIn !== null)),
  canceling: namesOf(jobProviders.filter(({ canceled }) => canceled !== null)),
};

/** For the request that was submitted under this correlation id. */
export const callsOf = ({ fake }: FakedProvider, correlationId: string) =>
  fake.calls.filter(({ headers }) => headers['x-correlation-id'] === correlationId);

export interface Setup {
  readonly server: Server;
  provider(name: string): FakedProvider;
  readonly providers: readonly FakedProvider[];
  close(): Promise<void>;
}

/** Every fake, and a server that is told of them. */
export async function startSetup(): Promise<Setup> {
  const providers = await inParallel(jobProviders, jobProviders.length, async (provider) => ({
    ...provider,
    modelId: `t-${provider.name}`,
    fake: await provider.start(),
  }));
  const models = providers.map(({ modelId: id, name, model, priceUsd }) => ({
    id,
    targets: [{ provider: name, model, price: [{ per: 'image', usd: priceUsd }] }],
  }));
  const settings = providers.map(({ settings, fake }) => settings(fake.url));
  const closeFakes = async () => {
    await inParallel(providers, providers.length, ({ fake }) => fake.close());
  };
  const environment = Object.assign({ MODEL_CATALOG: JSON.stringify({ models }) }, ...settings);
  const server = await startServer(environment).catch(async (error: unknown) => {
    await closeFakes();
    throw error;
  });
  return {
    server,
    providers,
    provider(name) {
      const found = providers.find((provider) => provider.name === name);
      if (!found) throw new Error(`No provider is called ${name}`);
      return found;
    },
    async close() {
      await server.close();
      await closeFakes();
    },
  };
}
