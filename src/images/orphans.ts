/**
 * Finds images that have lost half of themselves: objects that no row knows of, and rows whose object
 * is gone. Goes over both in the order of their keys, some pages a run, and round again. What does
 * not answer stops it where it is: nothing is deleted because of an outage.
 */
import type { RequestId, UserId } from '../platform/ids';
import type { Logger } from '../platform/log';
import { behind, imageIdOf, nextTo, objectKeyOf } from './keys';
import {
  type HeldRequest,
  isImplausible,
  isOld,
  isSettled,
  judgeObject,
  judgeRow,
  type Told,
} from './orphan-rules';
import {
  type FoundObject,
  type FoundRow,
  MAX_ROWS,
  type OrphanStore,
  type SearchedBucket,
} from './orphan-store';
import type { ImagePlace } from './types';

/** Of 1,000 objects each, and of each bucket: five million objects a day. */
const MAX_PAGES = 20;
/** Each may cost a call of its user's foreman and two of R2: a run stops once it has judged as many. */
const MAX_JUDGED = 60;

export interface Foremen {
  /** What the user's foreman has of the request. */
  held(input: { readonly userId: UserId; readonly id: RequestId }): Promise<HeldRequest>;
  /** D1 is told once more of what the user's foreman has of these. */
  tellAgain(input: { readonly userId: UserId; readonly ids: readonly RequestId[] }): Promise<void>;
}

export interface OrphanDeps {
  readonly store: OrphanStore;
  readonly foremen: Foremen;
  readonly log: Logger;
}

export type Found = {
  /** Images deleted, as nothing leads to them. */
  readonly orphans: number;
  /** Rows that are back, or will be once D1 has been told again. */
  readonly restored: number;
  /** Images whose bytes are gone although nobody deleted them. */
  readonly lost: number;
};

/**
 * A bucket that fails keeps the other from being searched.
 * @throws what failed first, after all that could be done.
 */
export async function findOrphans(deps: OrphanDeps, now: number): Promise<Found> {
  const found: Found[] = [];
  const failures: { readonly error: unknown }[] = [];
  for (const bucket of deps.store.buckets) {
    try {
      await searchBucket({ bucket, now, note: (one) => found.push(one) }, deps);
    } catch (error) {
      failures.push({ error });
    }
  }
  const [first] = failures;
  if (first) throw first.error;
  const total = (of: keyof Found) => found.reduce((sum, one) => sum + one[of], 0);
  return { orphans: total('orphans'), restored: total('restored'), lost: total('lost') };
}

interface Search {
  readonly bucket: SearchedBucket;
  readonly now: number;
}

async function searchBucket(
  search: Search & { readonly note: (found: Found) => void },
  deps: OrphanDeps,
): Promise<void> {
  const start = await search.bucket.getPosition();
  let [after, judged] = [start, 0];
  try {
    for (let count = 0; count < MAX_PAGES; count += 1) {
      const page = await readPage(search, after);
      search.note(await judgePage(search, page, deps));
      after = page.next;
      judged += page.groups.filter(isDoubtful).length;
      if (after === null || judged >= MAX_JUDGED) return;
    }
  } finally {
    if (after !== start) await search.bucket.setPosition(after);
  }
}

/** One image by its place, with what there is of it. */
interface Group {
  readonly place: ImagePlace;
  readonly object: FoundObject | null;
  readonly row: FoundRow | null;
  /** Keys of its parts and variants. */
  readonly parts: readonly string[];
  readonly variants: readonly string[];
}

interface Page {
  readonly groups: readonly Group[];
  /** Behind which key to go on; null when the round is over. */
  readonly next: string | null;
}

/** Only what is old enough to be judged, which comes first: keys sort by time. */
async function readPage({ bucket, now }: Search, after: string | null): Promise<Page> {
  const { objects, more } = await bucket.getObjects(after);
  const listed = more ? (objects.at(-1)?.key ?? null) : null;
  const rows = await bucket.getRows({ after, until: listed });
  const end = rows.length === MAX_ROWS ? (rows.at(-1)?.key ?? listed) : listed;
  const isHere = ({ key }: { readonly key: string }) => end === null || key <= end;
  const reached = [...objects, ...rows].filter(isHere);
  const old = reached.filter(({ key }) => isOld(key, now));
  const groups = groupsOf(old.filter(isObject), old.filter(isRow));
  const isRoundOver = end === null || reached.some(({ key }) => nextTo(key) && !isOld(key, now));
  return within(groups, isRoundOver ? null : end);
}

const isRow = (found: FoundObject | FoundRow): found is FoundRow => 'requestId' in found;
const isObject = (found: FoundObject | FoundRow): found is FoundObject => !isRow(found);

/** As far as one page may judge. */
function within(groups: readonly Group[], next: string | null): Page {
  const doubtful = groups.filter(isDoubtful);
  const last = doubtful[MAX_JUDGED - 1];
  if (!last || doubtful.length === MAX_JUDGED) return { groups, next };
  const end = behind(last.place);
  return { groups: groups.filter(({ place }) => objectKeyOf(place) < end), next: end };
}

const isDoubtful = ({ object, row }: Group) => object === null || row === null;

function groupsOf(objects: readonly FoundObject[], rows: readonly FoundRow[]): Group[] {
  const byPlace = Map.groupBy([...objects, ...rows], ({ key }) => {
    const found = nextTo(key);
    return found ? objectKeyOf(found.place) : '';
  });
  const groups = [...byPlace].flatMap(([key, all]) => {
    const found = nextTo(key);
    if (!found) return [];
    const keysOf = (is: 'part' | 'variant') =>
      all.filter((one) => nextTo(one.key)?.is === is).map((one) => one.key);
    return {
      place: found.place,
      object: all.filter(isObject).find((one) => one.key === key) ?? null,
      row: all.find(isRow) ?? null,
      parts: keysOf('part'),
      variants: keysOf('variant'),
    };
  });
  return groups.toSorted((one, other) =>
    objectKeyOf(one.place) < objectKeyOf(other.place) ? -1 : 1,
  );
}

async function judgePage(search: Search, { groups }: Page, deps: OrphanDeps): Promise<Found> {
  // Whoever was at it has ended long ago.
  await search.bucket.deleteKeys(groups.flatMap(({ parts }) => parts));
  const lost = await judgeRows(search, groups, deps);
  const judged = await judgeObjects(search, groups, deps);
  await deleteLeftovers(search, groups);
  return { ...judged, lost };
}

async function judgeObjects(
  { bucket, now }: Search,
  groups: readonly Group[],
  deps: OrphanDeps,
): Promise<Omit<Found, 'lost'>> {
  // What is past its time is the sweep's.
  const isDue = ({ object }: Group) => object !== null && object.expiresAt > now;
  const doubtful = groups.filter((group) => group.row === null && isDue(group));
  const told = await askAbout(doubtful, deps, 'unless_settled');
  const verdicts = doubtful.map((group) => {
    const known = told.get(group.place.requestId) ?? { indexed: null, held: null };
    return { group, known, verdict: judgeObject(imageIdOf(group.place), known) };
  });
  const unknown = verdicts.filter(({ verdict }) => verdict === 'unknown').length;
  if (isImplausible(unknown, groups.filter(({ object }) => object !== null).length)) {
    throw new Error(`nobody knows the requests of ${unknown} images of one page`);
  }
  let [orphans, restored] = [0, 0];
  for (const { group, known, verdict } of verdicts) {
    if (verdict === 'leave') continue;
    if (verdict === 'orphan' || verdict === 'unknown') {
      await bucket.deleteKeys([objectKeyOf(group.place), ...group.variants]);
      const { requestId: request_id } = group.place;
      deps.log.info('image.orphan_deleted', { image_id: imageIdOf(group.place), request_id });
      orphans += 1;
    } else if (await bucket.exists(objectKeyOf(group.place))) {
      await restore(group, known, deps);
      restored += 1;
    }
  }
  return { orphans, restored };
}

async function restore(
  { place, object }: Group,
  { indexed, held }: Told,
  { store, foremen }: OrphanDeps,
): Promise<void> {
  const { requestId } = place;
  const image = indexed?.images.find(({ id }) => id === imageIdOf(place));
  if (indexed && image) await store.createRow({ requestId, request: indexed, image });
  const userId = indexed?.userId ?? object?.userId;
  if (!image && held && userId) await foremen.tellAgain({ userId, ids: [requestId] });
}

async function judgeRows(
  { bucket, now }: Search,
  groups: readonly Group[],
  deps: OrphanDeps,
): Promise<number> {
  const { store, log } = deps;
  const without: Group[] = [];
  for (const group of groups) {
    if (group.object !== null || !group.row || group.row.expiresAt <= now) continue;
    if (!(await bucket.exists(objectKeyOf(group.place)))) without.push(group);
  }
  const told = await askAbout(without, deps, 'always');
  let lost = 0;
  for (const { place, row } of without) {
    const image_id = imageIdOf(place);
    const known = told.get(place.requestId);
    const verdict = row && known ? judgeRow(image_id, known) : 'leave';
    if (!row || verdict === 'leave') continue;
    await store.deleteRows([row.id]);
    if (verdict === 'gone') continue;
    log.error('image.lost', { image_id, request_id: row.requestId, user_id: row.userId });
    lost += 1;
  }
  return lost;
}

/** Variants of an image that is not there, on this page or the one before. */
async function deleteLeftovers({ bucket }: Search, groups: readonly Group[]): Promise<void> {
  for (const { place, object, variants } of groups) {
    if (object !== null || variants.length === 0) continue;
    if (!(await bucket.exists(objectKeyOf(place)))) await bucket.deleteKeys(variants);
  }
}

/** D1, and the foremen where it does not settle the matter; then D1 again of what has left them. */
async function askAbout(
  groups: readonly Group[],
  { store, foremen }: OrphanDeps,
  askForemen: 'always' | 'unless_settled',
): Promise<ReadonlyMap<RequestId, Told>> {
  const byRequest = Map.groupBy(groups, ({ place }) => place.requestId);
  const ids = [...byRequest.keys()];
  if (ids.length === 0) return new Map();
  const before = await store.getRequests(ids);
  const held = new Map<RequestId, HeldRequest>();
  for (const [id, [group]] of byRequest) {
    const indexed = before.get(id) ?? null;
    const userId = indexed?.userId ?? group?.row?.userId ?? group?.object?.userId;
    if (!userId || (askForemen === 'unless_settled' && isSettled(indexed))) continue;
    held.set(id, await foremen.held({ userId, id }));
  }
  const left = ids.filter((id) => held.get(id)?.status === 'absent');
  const indexed = new Map([...before, ...(left.length > 0 ? await store.getRequests(left) : [])]);
  return new Map(
    ids.map((id) => [id, { indexed: indexed.get(id) ?? null, held: held.get(id) ?? null }]),
  );
}
