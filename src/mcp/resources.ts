/** Images and requests as resources: a page of recent images to choose from, and each by its id. */
import {
  type ListResourcesResult,
  type McpServer,
  ProtocolError,
  ProtocolErrorCode,
  type ReadResourceResult,
  ResourceNotFoundError,
  ResourceTemplate,
} from '@modelcontextprotocol/server';
import { imageListQuerySchema } from '../images/listing';
import { presentImage } from '../images/view';
import { AppError } from '../platform/errors';
import { isId } from '../platform/ids';
import { requestNotFound } from '../requests/errors';
import type { Session } from './caller';
import { toolFault } from './faults';
import { queryOf } from './paging';
import { openPicture, type PictureBound } from './pictures';
import { IMAGE_TEMPLATE, imageUri, REQUEST_TEMPLATE } from './uris';

const PAGE = 20;
/** What is held at once, and again in base64; a larger image is read as a copy. */
const WHOLE: PictureBound = { maxBytes: 2 * 1024 * 1024, copyWidth: 1024 };

export function putResources(server: McpServer, session: Session): void {
  const image = new ResourceTemplate(IMAGE_TEMPLATE, { list: undefined });
  const ofImages = { title: 'Image', description: 'The bytes of an image, by its id' };
  server.registerResource('image', image, ofImages, (uri) =>
    answered(uri.href, session, readImage),
  );
  const request = new ResourceTemplate(REQUEST_TEMPLATE, { list: undefined });
  const ofRequests = {
    title: 'Request',
    description: 'A request as it is now: state, images, attempts',
    mimeType: 'application/json',
  };
  server.registerResource('request', request, ofRequests, (uri) =>
    answered(uri.href, session, readRequest),
  );
  // In place of the SDK's own, which knows no pages.
  server.server.setRequestHandler('resources/list', ({ params }) =>
    answered('', session, () => listImages(params?.cursor, session)),
  );
}

async function listImages(
  cursor: string | undefined,
  { caller, deps }: Session,
): Promise<ListResourcesResult> {
  const query = queryOf(imageListQuerySchema, { limit: PAGE, cursor });
  const { userId } = caller.credential;
  const page = await deps.imageList.list({ userId, query, now: deps.now() });
  const resources = page.images.map((one) => ({
    uri: imageUri(one.id),
    name: one.id,
    description: `${one.width}x${one.height}${one.model ? `, by ${one.model}` : ''}`,
    mimeType: one.mediaType,
    size: one.bytes,
    annotations: { lastModified: new Date(one.createdAt).toISOString() },
  }));
  return page.nextCursor === null ? { resources } : { resources, nextCursor: page.nextCursor };
}

async function readImage(uri: string, { caller, deps }: Session): Promise<ReadResourceResult> {
  const now = deps.now();
  const viewer = caller.credential.userId;
  const image = await deps.images.describe({ id: idOf(uri), viewer, now });
  const picture = await openPicture(deps.imageContent, { image, viewer, bound: WHOLE, now });
  if (picture) {
    const blob = Buffer.from(picture.bytes).toString('base64');
    return { contents: [{ uri, mimeType: picture.mediaType, blob }] };
  }
  const via = { origin: caller.origin, linkSecret: deps.linkSecret };
  const { signed_url: url } = presentImage(image, via);
  const text = `This image has ${image.bytes} bytes, too many to be read here. It is at ${url}`;
  return { contents: [{ uri, mimeType: 'text/plain', text }] };
}

async function readRequest(uri: string, { caller, deps }: Session): Promise<ReadResourceResult> {
  const id = idOf(uri);
  if (!isId('req', id)) throw requestNotFound(id);
  const snapshot = await deps.requests.get({ credential: caller.credential, id });
  const text = JSON.stringify(deps.present(snapshot.state, snapshot));
  return { contents: [{ uri, mimeType: 'application/json', text }] };
}

const idOf = (uri: string) => uri.slice(uri.lastIndexOf('/') + 1);

/** Faults become errors of the protocol, with our code as data. */
async function answered<Answer>(
  uri: string,
  session: Session,
  read: (uri: string, session: Session) => Promise<Answer>,
): Promise<Answer> {
  try {
    return await read(uri, session);
  } catch (fault) {
    if (fault instanceof AppError && fault.code === 'not_found' && uri !== '') {
      throw new ResourceNotFoundError(uri);
    }
    const error = toolFault(fault, session);
    const code =
      error.code === 'invalid_request'
        ? ProtocolErrorCode.InvalidParams
        : ProtocolErrorCode.InternalError;
    throw new ProtocolError(code, `${error.code}: ${error.message}`, error);
  }
}
