/** The only wiring: every part of Foreman gets what it needs here, for fetch, queue and scheduled. */
import { createAccountServices } from './account-services';
import { createEraser } from './foreman/erasing';
import { writeNews } from './foreman/index-writer';
import { createPresenter } from './foreman/kinds';
import type { News } from './foreman/news';
import { fetchForeman, foremanFor, type Note } from './foreman/stub';
import { watchRequest } from './foreman/watch';
import { createBreakers } from './generation/breaker/client';
import { createBreakerWatch } from './generation/breaker-watch';
import { createOpenImage, fetchImageBytes } from './generation/fetch-image';
import { createInputStore } from './generation/inputs';
import { createProviders } from './generation/providers/registry';
import { createGenerationService } from './generation/service';
import { createImageService } from './images/service';
import { createImageStore } from './images/store';
import { createAnswerNotes } from './platform/answer-notes';
import {
  checkUntrustedUrl,
  createFetchUntrusted,
  createOpenUntrusted,
} from './platform/fetch-untrusted';
import type { RequestId, UserId } from './platform/ids';
import { consoleLogger } from './platform/log';
import { sleep } from './platform/patience';
import { createDeadLetterService } from './requests/dead-letter-service';
import { createDeadLetterStore } from './requests/dead-letter-store';
import type { Message, WorkQueue } from './requests/dead-letters';
import { createRequestService, type RequestForeman } from './requests/service';
import { createRequestStore } from './requests/store';
import { watchSocket } from './requests/watcher';
import { readSettings } from './settings';
import { applyStyle } from './styles/apply';
import { createStyleService } from './styles/service';
import { createStyleStore } from './styles/store';
import { createWebhookService } from './webhooks/service';
import { getFinishedOf } from './webhooks/store';

export type Services = ReturnType<typeof createServices>;

/** @throws Error naming every faulty setting. */
export function createServices(env: Env) {
  const read = readSettings(env);
  const { settings, generation: made } = read;
  const now = () => Date.now();
  const log = consoleLogger;
  const { catalog, providers } = made;
  const present = createPresenter(settings);
  const answerNotes = createAnswerNotes();
  const note: Note = (rateLimit) => rateLimit && answerNotes.note(rateLimit);
  const foreman = (userId: UserId) => foremanFor(env, userId, note);
  const watch: RequestForeman['watch'] = async (input) => {
    const { userId } = input.credential;
    const answer = await fetchForeman(env, userId, () => watchRequest(input));
    return answer.webSocket ? watchSocket(answer.webSocket, note) : null;
  };

  const ownHosts = settings.publicOrigin ? [new URL(settings.publicOrigin).hostname] : [];
  const urlPolicy = { allowLocal: settings.allowLocalUrls, ownHosts };
  const fetchNow = ((input, init) => fetch(input, init)) as typeof fetch;
  const untrusted = { fetch: fetchNow, ...urlPolicy };
  const fetchUntrusted = createFetchUntrusted(untrusted);
  const openImage = createOpenImage(createOpenUntrusted(untrusted));

  const knowsModel = (id: string) => catalog.find(id) !== null;
  const allBreakers = createBreakers({ env, log, now });
  const breakers = createBreakerWatch(allBreakers, catalog);
  const accountServices = createAccountServices({
    env,
    read,
    foreman,
    knowsModel,
    fetch: fetchNow,
    sleep,
    now,
    log,
  });
  const imageStore = createImageStore({ buckets: env, db: env.DB });
  const uploadRetentionMs = settings.imageRetentionMs;
  const images = createImageService({ store: imageStore, uploadRetentionMs, sleep, log });
  const inputs = createInputStore({
    images,
    fetchUrl: (input) => fetchImageBytes(fetchUntrusted, input),
    now,
  });
  const styleStore = createStyleStore(env.DB);
  const styles = createStyleService({ store: styleStore, knowsModel, now, sleep, log });
  const requestStore = createRequestStore(env.DB);
  const requests = createRequestService({
    foreman: (userId) => ({ ...foreman(userId), watch }),
    store: requestStore,
    now,
  });
  const deadLetterStore = createDeadLetterStore(env.DB);
  const queues = {
    generation: env.GENERATION_QUEUE,
    webhooks: env.WEBHOOKS_QUEUE,
    events: env.EVENTS_QUEUE,
  };
  const send = (queue: WorkQueue, message: Message) => queues[queue].send(message);
  const webhooks = createWebhookService({
    requests,
    pending: async (input) => {
      const pending = await foreman(input.credential.userId).deliveriesOf(input);
      return Array.isArray(pending) ? pending : null;
    },
    finished: (input) => getFinishedOf(env.DB, input),
  });
  const generation = createGenerationService({
    catalog,
    requests,
    inputs,
    authorize: (credential) => foreman(credential.userId).authorize(credential),
    async style(id) {
      const style = await styles.resolve(id);
      return style && { ...style, apply: (prompts) => applyStyle(style, prompts) };
    },
    breakers,
    urlFault: (url, origin) => {
      const hosts = [...ownHosts, new URL(origin).hostname];
      const checked = checkUntrustedUrl(url, { ...urlPolicy, ownHosts: hosts });
      return checked.ok ? null : checked.reason;
    },
    now,
  });

  return {
    settings,
    env,
    now,
    log,
    catalog,
    present,
    foreman,
    nudge: (userId: UserId, job: { request: RequestId; attempt: number }) =>
      foreman(userId).nudge(job),
    ...accountServices,
    answerNotes,
    images,
    styles,
    breakerAdmin: {
      breakers: allBreakers,
      targets: () => breakers.targets(),
      record: accountServices.audit.record,
      now,
    },
    requestStore,
    requests,
    webhooks,
    generation,
    /** Calls that go on after their queue handler has returned. */
    detached: { count: 0 },
    generationConsumer: {
      catalog,
      provider: createProviders(providers, { sleep, openImage, now }),
      inputs,
      images,
      providerTimeoutMs: settings.providerTimeoutMs,
      imageRetentionMs: settings.imageRetentionMs,
      linkSecret: settings.linkSigningSecret,
      breakers,
      foreman,
      now,
      sleep,
      log,
    },
    webhookConsumer: { foreman, fetchUntrusted, now, sleep, log },
    projector: { foreman, write: (news: News) => writeNews(env.DB, news), log },
    deletionConsumer: { foreman, eraser: createEraser(env), sleep, log },
    deadLetters: { store: deadLetterStore, foreman, now, log },
    deadLetterService: createDeadLetterService({
      store: deadLetterStore,
      requests: requestStore,
      foreman,
      send,
      now,
      log,
    }),
  };
}
