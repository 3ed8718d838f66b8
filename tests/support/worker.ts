/**
 * The Worker under test: the real handlers and objects over the real bindings, each behind a
 * switch. With no switch on, a call goes straight through; a binding is never faked. The pool runs
 * the Worker, its objects and the tests in one isolate, so a test throws the switches directly.
 */
import { Foreman as RealForeman } from '../../src/foreman/object';
import worker from '../../src/index';

export { Directory } from '../../src/accounts/directory';
export { Breaker } from '../../src/generation/breaker/object';

/** `fail` throws, `hang` never answers. */
type Fault = 'fail' | 'hang' | null;
/** `swallow`: the queue takes the message and loses it. */
type QueueFault = Fault | 'swallow';
/** `lose_answer`: the object does what it was asked and the caller never hears of it. */
type ForemanFault = Fault | 'lose_answer';

interface Switches {
  d1: Fault;
  r2: Fault;
  generation: QueueFault;
  webhooks: QueueFault;
  events: QueueFault;
  foreman: ForemanFault;
  breaker: Fault;
  directory: ForemanFault;
  shield: Fault;
  kv: Fault;
  /** Only these methods of a foreman, or of R2; empty: all of them. */
  only: string[];
  /** How many more calls meet a fault. */
  times: number;
}

const off: Readonly<Switches> = {
  d1: null,
  r2: null,
  generation: null,
  webhooks: null,
  events: null,
  foreman: null,
  breaker: null,
  directory: null,
  shield: null,
  kv: null,
  only: [],
  times: Number.POSITIVE_INFINITY,
};

export const faults: Switches = { ...off };
type Part = Exclude<keyof Switches, 'only' | 'times'>;
type QueueName = 'generation' | 'webhooks' | 'events';

/** How often each part failed on purpose since the switches were last reset. */
export const faulted: Record<Part, number> = noCounts();

/** Everything that was given to a queue, whether or not the queue kept it. */
export const sent: { readonly queue: QueueName; readonly body: unknown }[] = [];

/** Methods that were called on foremen, in order. */
export const foremanCalls: string[] = [];

/** Keys that R2 has deleted, for what is put and gone too soon to be seen. */
export const deletedKeys: string[] = [];

export function resetFaults(): void {
  Object.assign(faults, off, { only: [] });
  Object.assign(faulted, noCounts());
  sent.length = 0;
  foremanCalls.length = 0;
  deletedKeys.length = 0;
  kvCalls.length = 0;
}

function noCounts(): Record<Part, number> {
  return {
    d1: 0,
    r2: 0,
    generation: 0,
    webhooks: 0,
    events: 0,
    foreman: 0,
    breaker: 0,
    directory: 0,
    shield: 0,
    kv: 0,
  };
}

/** The fault that this call meets, if any: each one is counted. */
function meets(part: Part, ...kinds: readonly Switches[Part][]): Switches[Part] {
  const fault = faults[part];
  if (fault === null || !kinds.includes(fault) || faults.times < 1) return null;
  faults.times -= 1;
  faulted[part] += 1;
  return fault;
}

async function pass(part: Part): Promise<void> {
  const fault = meets(part, 'fail', 'hang');
  if (fault === null) return;
  if (fault === 'hang') await new Promise<never>(() => {});
  throw new Error(`${part} fails on purpose`);
}

type Method = (...args: unknown[]) => unknown;

/** Delegates everything; a call of a method goes through `around` first. */
function delegating<T extends object>(
  real: T,
  around: (name: string, call: () => unknown, args: readonly unknown[]) => unknown,
): T {
  return new Proxy(real, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function' || typeof name !== 'string') return member;
      const method = member as Method;
      return (...args: unknown[]) => around(name, () => Reflect.apply(method, target, args), args);
    },
  });
}

const chosen = (name: string) => faults.only.length === 0 || faults.only.includes(name);

const bucketOf = (real: R2Bucket) =>
  delegating(real, async (name, call, [keys]) => {
    if (chosen(name)) await pass('r2');
    const answer = await call();
    if (name === 'delete') deletedKeys.push(...[keys as string | string[]].flat());
    return answer;
  });

/** A batch takes the statements themselves, not what stands in front of them. */
const statements = new WeakMap<object, D1PreparedStatement>();

function statementOf(real: D1PreparedStatement): D1PreparedStatement {
  const guarded = delegating(real, (name, call) => {
    if (name === 'bind') return statementOf(call() as D1PreparedStatement);
    return pass('d1').then(call);
  });
  statements.set(guarded, real);
  return guarded;
}

const databaseOf = (real: D1Database) =>
  delegating(real, (name, call, args) => {
    if (name === 'prepare') return statementOf(call() as D1PreparedStatement);
    if (name !== 'batch') return pass('d1').then(call);
    const batch = (args[0] as D1PreparedStatement[]).map((one) => statements.get(one) ?? one);
    return pass('d1').then(() => real.batch(batch));
  });

function queueOf<Body>(real: Queue<Body>, queue: QueueName): Queue<Body> {
  return delegating(real, async (name, call, args) => {
    const bodies =
      name === 'sendBatch' ? [...(args[0] as { body: unknown }[])].map(({ body }) => body) : args;
    if (name === 'send' || name === 'sendBatch') {
      for (const body of name === 'send' ? bodies.slice(0, 1) : bodies) sent.push({ queue, body });
    }
    await pass(queue);
    return meets(queue, 'swallow') ? undefined : call();
  });
}

async function passObject(part: 'foreman' | 'directory', call: () => unknown): Promise<unknown> {
  await pass(part);
  const isLost = meets(part, 'lose_answer') !== null;
  const answer = await call();
  if (!isLost) return answer;
  throw Object.assign(new Error('the answer was lost on purpose'), { retryable: true });
}

const stubOf = <T extends object>(real: T) =>
  delegating(real, async (name, call) => {
    foremanCalls.push(name);
    return chosen(name) ? passObject('foreman', call) : call();
  });

const namespaceOf = (real: Env['FOREMAN']): Env['FOREMAN'] =>
  delegating(real, (name, call) =>
    name === 'getByName' || name === 'get' ? stubOf(call() as object) : call(),
  );

const breakerOf = <T extends object>(real: T) =>
  delegating(real, (_name, call) => pass('breaker').then(call));

const breakersOf = (real: Env['BREAKER']): Env['BREAKER'] =>
  delegating(real, (name, call) =>
    name === 'getByName' || name === 'get' ? breakerOf(call() as object) : call(),
  );

const entryOf = <T extends object>(real: T) =>
  delegating(real, (_name, call) => passObject('directory', call));

const directoryOf = (real: Env['DIRECTORY']): Env['DIRECTORY'] =>
  delegating(real, (name, call) => (name === 'getByName' ? entryOf(call() as object) : call()));

const shieldOf = (real: RateLimit) => delegating(real, (_name, call) => pass('shield').then(call));

/** Calls of KV so far. */
export const kvCalls: string[] = [];

const kvOf = (real: KVNamespace) =>
  delegating(real, (name, call) => {
    kvCalls.push(name);
    return pass('kv').then(call);
  });

const guardedEnvs = new WeakMap<Env, Env>();

/** The same object for the same `env`, as the Worker keeps its wiring by it. */
export function guarded(env: Env): Env {
  const known = guardedEnvs.get(env);
  if (known) return known;
  const made: Env = {
    ...env,
    DB: databaseOf(env.DB),
    IMAGES: bucketOf(env.IMAGES),
    IMAGES_EU: bucketOf(env.IMAGES_EU),
    FOREMAN: namespaceOf(env.FOREMAN),
    BREAKER: breakersOf(env.BREAKER),
    SHIELD: shieldOf(env.SHIELD),
    OAUTH_KV: kvOf(env.OAUTH_KV),
    DIRECTORY: directoryOf(env.DIRECTORY),
    GENERATION_QUEUE: queueOf(env.GENERATION_QUEUE, 'generation'),
    WEBHOOKS_QUEUE: queueOf(env.WEBHOOKS_QUEUE, 'webhooks'),
    EVENTS_QUEUE: queueOf(env.EVENTS_QUEUE, 'events'),
  };
  guardedEnvs.set(env, made);
  return made;
}

export class Foreman extends RealForeman {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, guarded(env));
  }
}

export default {
  fetch: (request, env, context) => worker.fetch(request, guarded(env), context),
  queue: (batch, env, context) => worker.queue(batch, guarded(env), context),
  scheduled: (controller, env) => worker.scheduled(controller, guarded(env)),
} satisfies ExportedHandler<Env>;
