/** The query of `GET /v1/images`, and its pages. */
import { z } from '@hono/zod-openapi';
import { type CursorPart, encodeCursor, readCursor } from '../platform/cursor';
import { AppError } from '../platform/errors';
import { isId, type RequestId, type UserId } from '../platform/ids';
import { pageFields } from '../platform/openapi';
import { imageListUnavailable } from './errors';
import type { ImageIndex, ImagePageQuery, UploadPageQuery } from './index-store';
import { mediaTypes, type StoredImage } from './types';

const time = z.iso.datetime({ offset: true });

export const imageListQuerySchema = z.strictObject({
  ...pageFields,
  source: z
    .enum(['request', 'upload'])
    .default('request')
    .describe('What requests made, newest first, or what you uploaded, in the order of the hashes'),
  sort_direction: z
    .enum(['asc', 'desc'])
    .optional()
    .describe('By creation; `desc` unless said otherwise. Not for uploads'),
  request_id: z
    .custom<RequestId>((value) => typeof value === 'string' && isId('req', value), {
      error: 'is not the id of a request',
    })
    .optional()
    .openapi({
      type: 'string',
      description: 'The request that made them. Not for uploads',
      example: 'req_0…',
    }),
  model: z.string().max(100).optional().describe('As it was asked for. Not for uploads'),
  media_type: z.enum(mediaTypes).optional(),
  created_after: time.optional(),
  created_before: time.optional(),
});
export type ImageListQuery = z.output<typeof imageListQuerySchema>;

export interface ImagePage {
  readonly images: readonly StoredImage[];
  readonly nextCursor: string | null;
}

export interface ImageList {
  /** @throws AppError `invalid_request` (a cursor or a filter of the other list), `unavailable`. */
  list(input: { userId: UserId; query: ImageListQuery; now: number }): Promise<ImagePage>;
}

type Asked = Parameters<ImageList['list']>[0];

export function createImageList(index: ImageIndex): ImageList {
  return {
    list: (asked) =>
      asked.query.source === 'upload' ? listUploads(asked, index) : listMade(asked, index),
  };
}

async function listMade(asked: Asked, index: ImageIndex): Promise<ImagePage> {
  const { query } = asked;
  const { limit, sort_direction: direction = 'desc' } = query;
  const page: ImagePageQuery = {
    ...commonOf(asked),
    limit: limit + 1,
    direction,
    after: query.cursor === undefined ? null : readMadeCursor(query.cursor, direction),
    requestId: query.request_id ?? null,
    model: query.model ?? null,
  };
  const rows = await read(index.getPage(page));
  const images = rows.slice(0, limit);
  const last = rows.length > limit ? images.at(-1) : undefined;
  const nextCursor = last ? encodeCursor([direction, last.createdAt, last.id]) : null;
  return { images, nextCursor };
}

async function listUploads(asked: Asked, index: ImageIndex): Promise<ImagePage> {
  const { query } = asked;
  for (const name of ['sort_direction', 'request_id', 'model'] as const) {
    if (query[name] !== undefined) throw invalid(name, 'is not for uploads');
  }
  const page: UploadPageQuery = {
    ...commonOf(asked),
    limit: query.limit,
    after: query.cursor === undefined ? null : readCursor(query.cursor, uploadCursor)[1],
  };
  const { uploads, next } = await read(index.getUploads(page));
  return { images: uploads, nextCursor: next === null ? null : encodeCursor(['upload', next]) };
}

function commonOf({ userId, query, now }: Asked) {
  return {
    userId,
    mediaType: query.media_type ?? null,
    createdAfter: query.created_after === undefined ? null : Date.parse(query.created_after),
    createdBefore: query.created_before === undefined ? null : Date.parse(query.created_before),
    now,
  };
}

const madeCursor = z.tuple([z.enum(['asc', 'desc']), z.int(), z.string().startsWith('img_')]);
const uploadCursor = z.tuple([z.literal('upload'), z.string().max(200)]) satisfies z.ZodType<
  CursorPart[]
>;

/** A cursor continues the order it was made in. */
function readMadeCursor(text: string, direction: 'asc' | 'desc') {
  const [madeIn, createdAt, id] = readCursor(text, madeCursor);
  if (madeIn !== direction) throw invalid('cursor', 'belongs to another sort order');
  return { createdAt, id };
}

async function read<T>(query: Promise<T>): Promise<T> {
  try {
    return await query;
  } catch (error) {
    throw imageListUnavailable(error);
  }
}

const invalid = (path: string, message: string) =>
  new AppError('invalid_request', `Not valid: ${path}.`, { errors: [{ path, message }] });
