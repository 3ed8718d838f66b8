/** The only wiring: every part of Foreman gets what it needs here, for fetch, queue and scheduled. */
import { createAuthenticate } from './accounts/authenticate';
import { createAccountService } from './accounts/service';
import { createAccountStore } from './accounts/store';
import { writeNews } from './foreman/index-writer';
import { createPresenter } from './foreman/kinds';
import type { News } from './foreman/news';
import { fetchForeman, foremanFor } from './foreman/stub';
import { watchRequest } from './foreman/watch';
import { createCatalog } from './generation/catalog';
import { fetchImageBytes } from './generation/fetch-image';
import { createImageReader, createInputStore } from './generation/inputs';
import { createProviders } from './generation/providers/registry';
import { createGenerationService } from './generation/service';
import { createImageService } from './images/service';
import { createImageStore } from './images/store';
import { MAX_IMAGE_BYTES } from './images/types';
import { parseSettings } from './platform/config';
import { checkUntrustedUrl, createFetchUntrusted } from './platform/fetch-untrusted';
import type { UserId } from './platform/ids';
import { consoleLogger } from './platform/log';
import { createRequestService, type RequestForeman } from './requests/service';
import { createRequestStore } from './requests/store';
import { watchSocket } from './requests/watcher';
import { createWebhookService } from './webhooks/service';
import { createSecret } from './webhooks/signature';
import { getFinishedOf } from './webhooks/store';

const IMAGE_FETCH = { timeoutMs: 60_000, maxBytes: MAX_IMAGE_BYTES };

export type Services = ReturnType<typeof createServices>;

/** Resolves after `ms`, or once the signal aborts. */
function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    const wake = () => {
      clearTimeout(timer);
      resolve();
    };
    signal?.addEventListener('abort', wake, { once: true });
  });
}

/** @throws Error naming every faulty setting. */
export function createServices(env: Env) {
  const settings = parseSettings(env);
  const now = () => Date.now();
  const log = consoleLogger;
  const catalog = createCatalog(settings);
  const present = createPresenter(settings);
  const foreman = (userId: UserId) => foremanFor(env, userId);
  const watch: RequestForeman['watch'] = async (input) => {
    const { userId } = input.credential;
    const answer = await fetchForeman(env, userId, () => watchRequest(input));
    return answer.webSocket ? watchSocket(answer.webSocket) : null;
  };

  const ownHosts = settings.publicOrigin ? [new URL(settings.publicOrigin).hostname] : [];
  const urlPolicy = { allowLocal: settings.allowLocalUrls, ownHosts };
  const fetchUntrusted = createFetchUntrusted({
    fetch: (input, init) => fetch(input, init),
    ...urlPolicy,
  });

  const fetchImage = async (url: string) => {
    const { timeoutMs, maxBytes } = IMAGE_FETCH;
    const fetched = await fetchImageBytes(fetchUntrusted, { url, timeoutMs, maxBytes });
    if (!fetched.ok) throw new Error(fetched.reason);
    return fetched.bytes;
  };

  const authenticate = createAuthenticate({
    keySigningSecret: settings.keySigningSecret,
    adminToken: settings.adminToken,
    authorize: (credential) => foreman(credential.userId).authorize(credential),
    now,
  });
  const accounts = createAccountService({
    foreman,
    store: createAccountStore(env.DB),
    now,
    keySigningSecret: settings.keySigningSecret,
    createWebhookSecret: createSecret,
  });
  const imageStore = createImageStore({ bucket: env.IMAGES, db: env.DB });
  const images = createImageService({ store: imageStore, sleep, log });
  const inputs = createInputStore({
    bucket: env.IMAGES,
    ...createImageReader(env.IMAGES),
    fetchUrl: (input) => fetchImageBytes(fetchUntrusted, input),
  });
  const requestStore = createRequestStore(env.DB);
  const requests = createRequestService({
    foreman: (userId) => ({ ...foreman(userId), watch }),
    store: requestStore,
    now,
  });
  const webhooks = createWebhookService({
    requests,
    pending: (input) => foreman(input.credential.userId).deliveriesOf(input),
    finished: (input) => getFinishedOf(env.DB, input),
  });
  const generation = createGenerationService({
    catalog,
    requests,
    inputs,
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
    authenticate,
    accounts,
    images,
    requestStore,
    requests,
    webhooks,
    generation,
    /** Calls that go on after their queue handler has returned. */
    detached: { count: 0 },
    generationConsumer: {
      catalog,
      provider: createProviders(settings, { sleep, fetchImage }),
      inputs,
      images,
      providerTimeoutMs: settings.providerTimeoutMs,
      imageRetentionMs: settings.imageRetentionMs,
      foreman,
      now,
      sleep,
      log,
    },
    webhookConsumer: { foreman, fetchUntrusted, now, sleep, log },
    projector: { foreman, write: (news: News) => writeNews(env.DB, news), log },
    deadLetters: { db: env.DB, foreman, now, log },
  };
}
