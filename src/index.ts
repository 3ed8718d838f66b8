/** The Worker script: one for fetch, queues, crons and the Durable Objects. */
import { createApp } from './app';
import { runCron } from './crons';
import { consumeBatch } from './queues';
import { createServices } from './services';

export { Directory } from './accounts/directory';
export { Foreman } from './foreman/object';
export { Breaker } from './generation/breaker/object';

/** Settings are parsed and parts wired once per isolate: `env` is the same object throughout. */
const wired = new WeakMap<Env, ReturnType<typeof wire>>();

function wire(env: Env) {
  const services = createServices(env);
  return { services, app: createApp(services) };
}

function wiredFor(env: Env) {
  const known = wired.get(env) ?? wire(env);
  wired.set(env, known);
  return known;
}

export default {
  fetch(request, env, context) {
    return wiredFor(env).app.fetch(request, env, context);
  },
  async queue(batch, env, context) {
    await consumeBatch(batch, wiredFor(env).services, context);
  },
  async scheduled(_controller, env) {
    await runCron(wiredFor(env).services);
  },
} satisfies ExportedHandler<Env>;
