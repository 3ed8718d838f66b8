import { type Connection, dataOf } from './connection';
import { allOf } from './paging';
import type {
  CallOptions,
  ContentQuery,
  Image,
  ImageLink,
  ImageQuery,
  NewImageLink,
  Page,
} from './types';

/** `/v1/images`. Every method throws `ForemanError` and `ConnectionFailed`. */
export class Images {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  list(query: ImageQuery = {}, options: CallOptions = {}): Promise<Page<Image>> {
    const params = { query };
    return dataOf(this.#connection.http.GET('/v1/images', { params, ...options }));
  }

  /** All that the query finds, page by page as they are asked for. */
  all(query: ImageQuery = {}, options: CallOptions = {}): AsyncIterable<Image> {
    return allOf((page: ImageQuery) => this.list(page, options), query);
  }

  get(id: string, options: CallOptions = {}): Promise<Image> {
    const params = { path: { id } };
    return dataOf(this.#connection.http.GET('/v1/images/{id}', { params, ...options }));
  }

  /** Its bytes, or those of a smaller copy, or of one in another format. */
  async content(id: string, query: ContentQuery = {}, options: CallOptions = {}): Promise<Blob> {
    const call = this.#connection.http.GET('/v1/images/{id}/content', {
      params: { path: { id }, query },
      parseAs: 'blob',
      ...options,
    });
    return dataOf(call);
  }

  /** An image to be used as an input; the same bytes again are the same image. */
  upload(
    bytes: Blob | ArrayBuffer | Uint8Array<ArrayBuffer>,
    mediaType?: string,
    options: CallOptions = {},
  ): Promise<Image> {
    const call = this.#connection.http.POST('/v1/images', {
      // The document knows the body of this route as text, as JSON has no bytes.
      body: '',
      bodySerializer: () => bytes,
      headers: { 'content-type': mediaType ?? typeOf(bytes) },
      ...options,
    });
    return dataOf(call);
  }

  /** A link that opens it without a key. */
  link(id: string, wishes: NewImageLink = {}, options: CallOptions = {}): Promise<ImageLink> {
    const call = this.#connection.http.POST('/v1/images/{id}/links', {
      params: { path: { id } },
      body: wishes,
      ...options,
    });
    return dataOf(call);
  }

  /** For good; its links end too. */
  async delete(id: string, options: CallOptions = {}): Promise<void> {
    const params = { path: { id } };
    await dataOf(this.#connection.http.DELETE('/v1/images/{id}', { params, ...options }));
  }
}

const typeOf = (bytes: object): string =>
  (bytes instanceof Blob && bytes.type) || 'application/octet-stream';
