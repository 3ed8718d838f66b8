/**
 * A call to OpenAI's images API that is asked for partial images on the way. They are shown as they
 * come; what is handed on is the JSON that the same call answers with when nobody looks on, so that
 * images, prices and refusals are read in one way.
 * Source: https://platform.openai.com/docs/api-reference/images-streaming
 */
import { z } from 'zod';
import type { JsonObject } from '../../platform/json';
import type { ProviderPreview } from './provider';
import { parseJson } from './sdk-images';
import { serverEvents } from './server-events';
import type { Wire } from './wire';

export interface Streaming {
  /** How many to ask for; no more are shown. Fewer come when the image is made quickly. */
  readonly previews: number;
  readonly show: (preview: ProviderPreview) => void;
}

export function streamed(wire: Wire, streaming: Streaming): Wire {
  return async (request) => {
    const response = await wire({ ...request, body: asked(request.body ?? null, streaming) });
    const type = response.headers.get('content-type') ?? '';
    // An error from before the first event, or a gateway that knows no streams.
    if (!response.ok || !response.body || !/^text\/event-stream\b/i.test(type)) return response;
    const headers = new Headers(response.headers);
    for (const name of ['content-length', 'content-encoding']) headers.delete(name);
    headers.set('content-type', 'application/json');
    const { status, body } = await endOf(response.body, streaming);
    return new Response(body, { status, headers });
  };
}

/** `stream` and `partial_images` are no options of the client's, so neither is there. */
function asked(body: BodyInit | null, { previews }: Streaming): BodyInit | null {
  if (body instanceof FormData) {
    body.append('stream', 'true');
    body.append('partial_images', String(previews));
    return body;
  }
  if (typeof body !== 'string') return body;
  const fields = JSON.parse(body) as JsonObject;
  return JSON.stringify({ ...fields, stream: true, partial_images: previews });
}

interface End {
  readonly status: number;
  readonly body: BodyInit;
}

async function endOf(stream: ReadableStream<Uint8Array>, streaming: Streaming): Promise<End> {
  let shown = 0;
  try {
    for await (const { name, data } of serverEvents(stream)) {
      const said = parseJson(data);
      const end = endIn(name, said);
      if (end) return end;
      const preview = shown < streaming.previews ? previewIn(said, shown) : null;
      if (!preview) continue;
      shown += 1;
      streaming.show(preview);
    }
    return broken(new Error('the stream ended before the image'));
  } catch (error) {
    return broken(error);
  }
}

/** Its headers came, its body did not: to whoever reads it, the same as when any body breaks off. */
function broken(reason: unknown): End {
  const body = new ReadableStream({ pull: (controller) => controller.error(reason) });
  return { status: 200, body };
}

const completedSchema = z.looseObject({
  type: z.enum(['image_generation.completed', 'image_edit.completed']),
  b64_json: z.unknown(),
  created_at: z.unknown(),
});
const errorSchema = z.looseObject({ error: z.looseObject({}) });

/** Null for an event that is not the last. */
function endIn(name: string, said: unknown): End | null {
  const completed = completedSchema.safeParse(said);
  if (completed.success) {
    const { type: _, b64_json, created_at: created, ...rest } = completed.data;
    return { status: 200, body: JSON.stringify({ ...rest, created, data: [{ b64_json }] }) };
  }
  const told = errorSchema.safeParse(said);
  if (!told.success && name !== 'error') return null;
  const error = told.success ? told.data.error : wordsIn(said);
  return { status: statusOf(error), body: JSON.stringify({ error }) };
}

/** The words of an error that has no object of their own; its `type` names the event. */
function wordsIn(said: unknown): object {
  const words = z.looseObject({}).safeParse(said);
  return words.success ? { ...words.data, type: null } : {};
}

/** A stream has answered 200 by the time it fails, so its words say what the status would have been. */
const statuses: readonly [status: number, words: RegExp][] = [
  [429, /rate_limit|insufficient_quota|billing/],
  [401, /api_key|authentication/],
  [403, /permission/],
  [400, /user_error|invalid_request|moderation|content_policy/],
];

function statusOf(error: object): number {
  const { type, code } = z
    .object({ type: z.string().catch(''), code: z.string().catch('') })
    .parse(error);
  const [status] = statuses.find(([, words]) => words.test(`${code} ${type}`)) ?? [500];
  return status;
}

const partialSchema = z.object({
  type: z.enum(['image_generation.partial_image', 'image_edit.partial_image']),
  b64_json: z.string().min(1),
  output_format: z.enum(['png', 'jpeg', 'webp']).catch('png'),
});

/** Numbered here: what a gateway in between counts from is its own. */
function previewIn(said: unknown, index: number): ProviderPreview | null {
  const partial = partialSchema.safeParse(said);
  if (!partial.success) return null;
  const { b64_json, output_format: format } = partial.data;
  return { index, mediaType: `image/${format}`, bytes: bytesOf(b64_json) };
}

/** What is no base64 makes no picture, and is nobody's loss. */
const bytesOf = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, 'base64'));
