/**
 * Brings a foreman's news into D1. A wake-up says whose; the projector pulls pages, writes each as
 * one batch and confirms it. Running twice or out of order changes nothing: the newest version wins.
 */
import type { Confirmation, News } from '../foreman/news';
import type { Logger } from '../platform/log';
import { done, retryAfter, type Verdict } from '../platform/queue';
import type { ProjectionMessage } from './types';

/** An invocation may make 1,000 D1 queries, and a page some 100; the rest wants another wake-up. */
const MAX_PAGES = 3;
const RETRY_SECONDS = 10;

export interface ProjectorDeps {
  readonly foreman: (userId: ProjectionMessage['user']) => {
    pullNews(): Promise<News>;
    confirmNews(confirmation: Confirmation): Promise<{ more: boolean }>;
  };
  /** One atomic batch. */
  readonly write: (news: News) => Promise<void>;
  readonly log: Logger;
}

export async function project(message: ProjectionMessage, deps: ProjectorDeps): Promise<Verdict> {
  const foreman = deps.foreman(message.user);
  for (let page = 0; page < MAX_PAGES; page += 1) {
    try {
      const news = await foreman.pullNews();
      if (!(await written(news, deps))) return done;
      const last = page === MAX_PAGES - 1;
      const { more } = await foreman.confirmNews(confirmationOf(news, last));
      if (!more) return done;
    } catch (error) {
      deps.log.warn('projection.foreman_unreachable', { user_id: message.user, error });
      return retryAfter(RETRY_SECONDS);
    }
  }
  return done;
}

/** While D1 is down the news stay with the foreman, which wakes the projector again by itself. */
async function written(news: News, deps: ProjectorDeps): Promise<boolean> {
  try {
    await deps.write(news);
    return true;
  } catch (error) {
    deps.log.warn('projection.write_failed', { count: news.requests.length, error });
    return false;
  }
}

const confirmationOf = (news: News, last: boolean): Confirmation => ({
  last,
  requests: news.requests.map(({ id, version }) => ({ id, version })),
  deliveries: news.deliveries.map(({ id, finishedAt }) => ({ id, finishedAt })),
  accountVersion: news.account?.account.version ?? null,
  audit: news.audit.map((event) => event.id),
});
