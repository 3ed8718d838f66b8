/** The only wiring: every part of Foreman gets what it needs here, for fetch, queue and scheduled. */
import { createAccountServices } from './account-services';
import { createTicketService } from './accounts/tickets/service';
import { createEraser } from './foreman/erasing';
import { writeNews } from './foreman/index-writer';
import { createPresenter } from './foreman/kinds';
import type { News } from './foreman/news';
import { createImageForemen } from './foreman/outputs';
import { fetchForeman, foremanFor, type Note } from './foreman/stub';
import { type StreamInput, watchRequest } from './foreman/watch';
import { createBreakers } from './generation/breaker/client';
import { createBreakerWatch } from './generation/breaker-watch';
import { createOpenImage, fetchImageBytes } from './generation/fetch-image';
import { createInputStore } from './generation/inputs';
import { createManifestService } from './generation/manifest-service';
import { createProviders } from './generation/providers/registry';
import { createGenerationService } from './generation/service';
import { createImageContentFor } from './image-content';
import { createImageIndex } from './images/index-store';
import { createImageList } from './images/listing';
import { createOrphanStore } from './images/orphan-store';
import { findOrphans } from './images/orphans';
import { createImageRemoval } from './images/removal';
import { createImageService } from './images/service';
import { createImageStore } from './images/store';
import { LINE_TIMING } from './openai/lines';
import { createAnswerNotes } from './platform/answer-notes';
import {
  checkUntrustedUrl,
  createFetchUntrusted,
  createOpenUntrusted,
} from './platform/fetch-untrusted';
import type { RequestId, UserId } from './platform/ids';
import { consoleLogger } from './platform/log';
import { sleep } from './platform/patience';
import { createSigningKeys } from './platform/signing-keys';
import { createDeadLetterService } from './requests/dead-letter-service';
import { createDeadLetterStore } from './requests/dead-letter-store';
import type { Message, WorkQueue } from './requests/dead-letters';
import { createRequestService, type RequestForeman } from './requests/service';
import { createRequestStore } from './requests/store';
import { watchSocket } from './requests/watcher';
import { readSettings } from './settings';
import { tooManyStreams } from './streams/errors';
import { applyStyle } from './styles/apply';
import { createStyleService } from './styles/service';
import { createStyleStore } from './styles/store';
import { createEndpointService } from './webhooks/endpoints/service';
import { createDeliveryLog } from './webhooks/log/service';
import { createDeliveryLogStore } from './webhooks/log/store';
import { createWebhookService } from './webhooks/service';
import { createSecret } from './webhooks/signature';
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
  const signingKeys = createSigningKeys(settings.signing);
  const note: Note = (rateLimit) => rateLimit && answerNotes.note(rateLimit);
  const foreman = (userId: UserId) => foremanFor(env, userId, note);
  const watch: RequestForeman['watch'] = async ({ credential, id, onPreview }) => {
    const asked = { credential, id, previews: onPreview !== undefined };
    const answer = await fetchForeman(env, credential.userId, () => watchRequest(asked));
    if (answer.status === 429) throw tooManyStreams();
    return answer.webSocket ? watchSocket(answer.webSocket, note, onPreview) : null;
  };

  const ownHosts = settings.publicOrigin ? [new URL(settings.publicOrigin).hostname] : [];
  const urlPolicy = { allowLocal: settings.allowLocalUrls, ownHosts };
  const fetchNow = ((input, init) => fetch(input, init)) as typeof fetch;
  const untrusted = { fetch: fetchNow, ...urlPolicy };
  const fetchUntrusted = createFetchUntrusted(untrusted);
  const openImage = createOpenImage(createOpenUntrusted(untrusted));
  const urlFault = (url: string, origin: string) => {
    const hosts = [...ownHosts, new URL(origin).hostname];
    const checked = checkUntrustedUrl(url, { ...urlPolicy, ownHosts: hosts });
    return checked.ok ? null : checked.reason;
  };

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
  const orphanStore = createOrphanStore({ buckets: env, db: env.DB });
  const uploadRetentionMs = settings.imageRetentionMs;
  const images = createImageService({ store: imageStore, uploadRetentionMs, sleep, log });
  const imageContent = createImageContentFor(env, { reader: images, sleep, now, log });
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
  const imageList = createImageList(createImageIndex({ db: env.DB, buckets: env }));
  const imageRemoval = createImageRemoval({
    foreman,
    archive: requestStore,
    store: imageStore,
    forgetCached: imageContent.forgetCached,
    now,
    log,
  });
  const deliveryLogStore = createDeliveryLogStore(env.DB);
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
    urlFault,
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
    tickets: createTicketService({
      secret: settings.linkSigningSecret,
      authorize: (credential) => foreman(credential.userId).authorize(credential),
      findRequest: (input) => requests.get(input),
      now,
    }),
    openStream: (input: StreamInput) =>
      fetchForeman(env, input.credential.userId, () => watchRequest(input)),
    answerNotes,
    images,
    imageContent,
    imageList,
    imageRemoval,
    styles,
    findOrphans: ({ now }: { readonly now: number }) =>
      findOrphans({ store: orphanStore, foremen: createImageForemen(foreman), log }, now),
    breakerAdmin: {
      breakers: allBreakers,
      targets: () => breakers.targets(),
      record: accountServices.audit.record,
      now,
    },
    deliveryLog: createDeliveryLog({ foreman, store: deliveryLogStore }),
    deliveryLogStore,
    requestStore,
    requests,
    webhooks,
    endpoints: createEndpointService({
      foreman,
      urlFault,
      post: { fetchUntrusted, signingKeys, now },
      createSecret,
      now,
    }),
    /** How long lines of OpenAI's dialect are held. */
    openAiTiming: LINE_TIMING,
    signingKeys,
    manifests: createManifestService({ images, requests, signingKeys }),
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
    webhookConsumer: { foreman, fetchUntrusted, signingKeys, now, sleep, log },
    projector: { foreman, write: (news: News) => writeNews(env.DB, news), log },
    deletionConsumer: { foreman, eraser: createEraser(env, accountServices.oauth), sleep, log },
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
