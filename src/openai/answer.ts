/** What a finished request is in OpenAI's shape, written while the images are read. */
import type { UserId } from '../accounts/types';
import type { ImageService } from '../images/service';
import type { ImageView } from '../images/types';
import type { JsonObject } from '../platform/json';
import type { RequestState } from '../requests/types';
import type { PresentRequest, RequestView } from '../requests/view';
import { imageJson, membersOf } from './base64';
import type { Wanted } from './translate';

export interface AnswerDeps {
  readonly images: Pick<ImageService, 'open' | 'describe'>;
  readonly present: PresentRequest;
  readonly now: () => number;
}

/** Of a request that has succeeded. */
export interface Asked {
  readonly state: RequestState;
  readonly viewer: UserId;
  readonly wanted: Wanted;
}

export type Text = AsyncIterable<string>;

/**
 * Asks for the first image before anything is written, so that a storage that is away is told as that.
 * @throws AppError `unavailable`, `not_found`.
 */
export async function checkStorage(
  { state, viewer, wanted }: Asked,
  deps: AnswerDeps,
): Promise<void> {
  const [first] = deps.present(state).images;
  if (!first || wanted.format === 'url') return;
  await deps.images.describe({ id: first.id, viewer, now: deps.now() });
}

/** The body of an answer. */
export async function* imagesBody(asked: Asked, deps: AnswerDeps): AsyncGenerator<string> {
  const view = deps.present(asked.state);
  const created = secondsOf(view.completed_at ?? view.created_at);
  yield `{"created":${created},"data":[`;
  for (const [index, image] of view.images.entries()) {
    if (index > 0) yield ',';
    if (asked.wanted.format === 'url') yield JSON.stringify({ url: image.signed_url });
    else yield* withImage({}, image, asked, deps);
  }
  yield `],${membersOf(describe(view, asked.wanted))}}`;
}

/** One event for each image, as OpenAI has them. */
export async function* completedEvents(asked: Asked, deps: AnswerDeps): AsyncGenerator<string> {
  const view = deps.present(asked.state);
  const type = `${eventPrefix(asked.wanted)}.completed`;
  for (const image of view.images) {
    const created_at = secondsOf(view.completed_at ?? view.created_at);
    const facts = describe({ ...view, images: [image] }, asked.wanted);
    const members = { type, created_at, background: 'auto', quality: 'auto', ...facts };
    yield `event: ${type}\ndata: `;
    yield* withImage(members, image, asked, deps);
    yield '\n\n';
  }
}

export const eventPrefix = ({ endpoint }: Wanted) =>
  endpoint === 'edits' ? 'image_edit' : 'image_generation';

async function* withImage(
  members: JsonObject,
  { id }: Pick<ImageView, 'id'>,
  { viewer }: Pick<Asked, 'viewer'>,
  { images, now }: AnswerDeps,
): AsyncGenerator<string> {
  const asked = { ifNoneMatch: null, ifModifiedSince: null, ifRange: null, range: null };
  const opened = await images.open({ id, viewer, now: now(), asked, headOnly: false });
  if (!('body' in opened) || opened.body === null) throw new Error('an image without its bytes');
  yield* imageJson(members, opened.body);
}

/** What the images are, and what the dialect has no names for. */
function describe(view: RequestView, wanted: Wanted): JsonObject {
  const [image] = view.images;
  const { quality, background } = optionsInEffect(view, wanted);
  return {
    ...(image
      ? {
          output_format: image.media_type.replace('image/', ''),
          size: `${image.width}x${image.height}`,
        }
      : {}),
    ...(quality === undefined ? {} : { quality }),
    ...(background === undefined ? {} : { background }),
    foreman: {
      request_id: view.id,
      model: view.model,
      provider: image?.provider ?? null,
      cost_usd: view.cost_usd,
      warnings: warningsOf(view, wanted),
    },
  };
}

const isByOpenAi = ({ images }: RequestView) => images[0]?.provider === 'openai';

const optionsInEffect = (view: RequestView, { options }: Wanted): JsonObject =>
  isByOpenAi(view) ? options : {};

/** Of what the client has never written: what was idle is told by the name that it did write. */
function warningsOf(view: RequestView, { options, warnings }: Wanted): string[] {
  const others = view.warnings
    .filter((warning) => !warning.startsWith('provider_options.openai has no effect'))
    .map((warning) => warning.replace(/\bpreviews\b/, 'partial_images'));
  const maker = view.images[0]?.provider ?? 'nobody';
  const idle = isByOpenAi(view)
    ? []
    : Object.keys(options).map((name) => `${name} has no effect: the image was made by ${maker}`);
  return [...new Set([...warnings, ...others, ...idle])];
}

const secondsOf = (isoTime: string) => Math.floor(Date.parse(isoTime) / 1000);
