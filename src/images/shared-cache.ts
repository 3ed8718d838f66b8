/**
 * The images that links have opened lately, in the cache of the place where the request came in. All
 * links to an image share its entry. Serving never depends on it: what it cannot do is a miss.
 */
import { z } from 'zod';
import { cellOf } from '../platform/ids';
import type { Logger } from '../platform/log';
import { type Sleep, within } from '../platform/patience';
import { imageIdOf, type Place } from './keys';
import type { ServedFacts, Source } from './reader';
import { mediaTypes } from './types';
import { everyAsk, nameOfAsk, type VariantAsk } from './variants/plan';

/** How long a deleted image may still be served; more would spare more reads. */
export const SHARED_MAX_AGE_SECONDS = 60;
/** A cache that takes longer is slower than what it stands for. */
const PATIENCE_MS = 500;
/** It must not hold the bytes of an image for longer than a slow client takes them. */
const PUT_TIMEOUT_MS = 25_000;
/**
 * Of a stream that is split, the isolate holds what a slow client has not taken yet: 1 MiB for each of
 * a hundred. What is larger is read once more for the cache, which costs a read of R2.
 */
const MAX_SPLIT_BYTES = 1024 * 1024;

/** Nobody else's: no address of any Worker. */
const ORIGIN = 'https://images.foreman.internal';
const FACTS = 'foreman-image';

export interface SharedKey {
  /** Of the image of a link that was verified. */
  readonly place: Place;
  readonly variant: VariantAsk;
}

type Read = Awaited<ReturnType<Source['read']>>;

export interface Entry {
  readonly source: Source;
  /** When its bytes were read from where they lie; epoch ms. */
  readonly readAt: number;
  /** Lets go of what nobody has asked for. */
  drop(): void;
}

export interface SharedCache {
  /** Never throws. What the entry cannot give after all comes from `origin`. */
  find(key: SharedKey & { readonly now: number; readonly origin: Source }): Promise<Entry | null>;
  /** @returns the same bytes for the client; they are kept while they pass, or read again. */
  keep(
    key: SharedKey & { readonly now: number; readonly origin: Source },
    image: Read,
  ): ReadableStream;
  /** Here, that is: elsewhere an entry lasts its minute. Never throws. */
  forget(place: Place): Promise<void>;
}

export interface SharedCacheDeps {
  readonly cache: Pick<Cache, 'match' | 'put' | 'delete'>;
  /** Lets work outlive the answer. */
  readonly background: (work: Promise<unknown>) => void;
  readonly sleep: Sleep;
  readonly log: Logger;
}

const keptSchema = z.object({
  id: z.templateLiteral(['img_', z.string()]),
  mediaType: z.enum(mediaTypes),
  bytes: z.int(),
  etag: z.string(),
  createdAt: z.int(),
  expiresAt: z.int(),
  readAt: z.int(),
});

export function createSharedCache(deps: SharedCacheDeps): SharedCache {
  const { cache, background, sleep, log } = deps;

  const match = async (url: string, headers: Record<string, string> = {}) => {
    // Called within, as a cache may throw before it promises anything.
    const asked = (async () => cache.match(new Request(url, { headers })))();
    try {
      return (await within(PATIENCE_MS, asked, sleep)) ?? null;
    } catch (error) {
      log.warn('image.cache_failed', { error });
      asked.then((late) => late?.body?.cancel()).catch(() => {});
      return null;
    }
  };

  const putEntry = async (url: string, { facts, body }: Read, now: number) => {
    // An answer of unknown length would have no ranges, and one that breaks off would be kept.
    const sized = body.pipeThrough(new FixedLengthStream(facts.bytes));
    const answer = new Response(sized, {
      headers: {
        'cache-control': `public, max-age=${maxAgeOf(facts, now)}`,
        'content-type': facts.mediaType,
        'content-length': String(facts.bytes),
        [FACTS]: JSON.stringify({ ...keptOf(facts), readAt: now }),
      },
    });
    const put = (async () => cache.put(url, answer))();
    try {
      await within(PUT_TIMEOUT_MS, put, sleep);
    } catch (error) {
      if (!sized.locked) sized.cancel().catch(() => {});
      throw error;
    }
  };

  return {
    async find({ now, origin, ...key }) {
      if (!isShared(key.place)) return null;
      const url = urlOf(key);
      const found = await match(url);
      if (!found) return null;
      const facts = readFacts(found);
      const { body } = found;
      let isTaken = false;
      const drop = () => {
        if (!isTaken) body?.cancel().catch(() => {});
        isTaken = true;
      };
      if (!facts || !body || !isFresh(facts, now)) {
        drop();
        return null;
      }
      const readPart = async (from: number, length: number) => {
        const range = `bytes=${from}-${from + length - 1}`;
        const part = await match(url, { range });
        const is =
          part?.headers.get('content-range') === `${range.replace('=', ' ')}/${facts.bytes}`;
        if (part?.status === 206 && part.body && is) return part.body;
        part?.body?.cancel().catch(() => {});
        return null;
      };
      const source: Source = {
        describe: async () => facts,
        async read(range) {
          if (!range) {
            isTaken = true;
            return { facts, body };
          }
          const part = await readPart(range.offset, range.length);
          return part ? { facts, body: part } : origin.read(range);
        },
      };
      return { source, readAt: facts.readAt, drop };
    },

    keep({ now, origin, ...key }, { facts, body }) {
      if (!isShared(key.place) || maxAgeOf(facts, now) < 1) return body;
      const [own, split] = facts.bytes > MAX_SPLIT_BYTES ? [body, null] : body.tee();
      const put = async () => {
        const image = split ? { facts, body: split } : await origin.read(null);
        await putEntry(urlOf(key), image, now);
      };
      background(put().catch((error) => log.warn('image.cache_failed', { error })));
      return own;
    },

    async forget(place) {
      const all = everyAsk.map(async (variant) => cache.delete(urlOf({ place, variant })));
      await within(PATIENCE_MS * 10, Promise.all(all), sleep).catch((error) => {
        log.warn('image.cache_failed', { error });
      });
    },
  };
}

const maxAgeOf = ({ expiresAt }: ServedFacts, now: number) =>
  Math.min(SHARED_MAX_AGE_SECONDS, Math.floor((expiresAt - now) / 1000));

/** What must stay in the European Union is not kept wherever a link is opened. */
const isShared = (place: Place) =>
  cellOf('requestId' in place ? place.requestId : place.userId) === '0';

const urlOf = ({ place, variant }: SharedKey) =>
  `${ORIGIN}/${imageIdOf(place)}/${nameOfAsk(variant)}`;

const keptOf = ({ id, mediaType, bytes, etag, createdAt, expiresAt }: ServedFacts) => ({
  ...{ id, mediaType, bytes, etag, createdAt, expiresAt },
});

/** Null for an entry of another version of this code. */
function readFacts(answer: Response): (ServedFacts & { readonly readAt: number }) | null {
  try {
    return keptSchema.parse(JSON.parse(answer.headers.get(FACTS) ?? ''));
  } catch {
    return null;
  }
}

/** A cache may keep things for longer than it was told. */
const isFresh = (facts: { readonly readAt: number; readonly expiresAt: number }, now: number) =>
  now < facts.readAt + SHARED_MAX_AGE_SECONDS * 1000 && now < facts.expiresAt;
