import { type Connection, dataOf, newKey, unwrap } from './connection';
import { follow } from './following';
import { allOf } from './paging';
import type {
  CallOptions,
  ForemanRequest,
  MakingOptions,
  Page,
  Plan,
  RequestQuery,
  Submission,
} from './types';

/** `/v1/requests`. Every method throws `ForemanError` and `ConnectionFailed`. */
export class Requests {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Answers at once, with the request as it is accepted, or as it is by now when its key is known. */
  async submit(input: Submission, options: MakingOptions = {}): Promise<ForemanRequest> {
    const { idempotencyKey = newKey(), signal } = options;
    const call = this.#connection.http.POST('/v1/requests', {
      body: input,
      params: { header: { 'idempotency-key': idempotencyKey } },
      ...(signal && { signal }),
    });
    return submitted(await dataOf(call, idempotencyKey));
  }

  /** What would become of it; nothing is accepted. */
  async plan(input: Submission, options: CallOptions = {}): Promise<Plan> {
    const answer = await this.#connection.http.POST('/v1/requests', {
      body: input,
      params: { query: { dry_run: 'true' }, header: { 'idempotency-key': newKey() } },
      ...options,
    });
    return planned(unwrap(answer));
  }

  get(id: string, options: CallOptions = {}): Promise<ForemanRequest> {
    return dataOf(
      this.#connection.http.GET('/v1/requests/{id}', { params: { path: { id } }, ...options }),
    );
  }

  /** As it ends, however that is: a request that has failed is an answer here, and no error. */
  async wait(id: string, options: CallOptions = {}): Promise<ForemanRequest> {
    let last: ForemanRequest | null = null;
    for await (const request of follow(this.#connection, id, options)) last = request;
    if (last === null) throw new Error('A request that is followed has one version at least.');
    return last;
  }

  /** Each version that is seen, the present one first, and the last one last. */
  follow(id: string, options: CallOptions = {}): AsyncIterable<ForemanRequest> {
    return follow(this.#connection, id, options);
  }

  async list(query: RequestQuery = {}, options: CallOptions = {}): Promise<Page<ForemanRequest>> {
    const { metadata = {}, ...rest } = query;
    const named = Object.entries(metadata).map(([name, value]) => [`metadata.${name}`, value]);
    const params = { query: { ...rest, ...Object.fromEntries(named) } };
    return dataOf(this.#connection.http.GET('/v1/requests', { params, ...options }));
  }

  /** All that the query finds, page by page as they are asked for. */
  all(query: RequestQuery = {}, options: CallOptions = {}): AsyncIterable<ForemanRequest> {
    return allOf((page: RequestQuery) => this.list(page, options), query);
  }

  /** One that has ended is answered as it is. */
  cancel(id: string, options: CallOptions = {}): Promise<ForemanRequest> {
    const params = { path: { id } };
    return dataOf(this.#connection.http.POST('/v1/requests/{id}/cancel', { params, ...options }));
  }

  /** Submits one that has ended again, as a new request. */
  retry(id: string, options: MakingOptions = {}): Promise<ForemanRequest> {
    const { idempotencyKey = newKey(), signal } = options;
    const call = this.#connection.http.POST('/v1/requests/{id}/retry', {
      params: { path: { id } },
      headers: { 'idempotency-key': idempotencyKey },
      ...(signal && { signal }),
    });
    return dataOf(call, idempotencyKey);
  }

  /** With its images; a live one is canceled first. */
  async delete(id: string, options: CallOptions = {}): Promise<void> {
    const params = { path: { id } };
    await dataOf(this.#connection.http.DELETE('/v1/requests/{id}', { params, ...options }));
  }
}

/** The one route has two kinds of answers: a plan comes to those who ask for one. */
export const submitted = (answer: ForemanRequest | Plan): ForemanRequest =>
  answer as ForemanRequest;
const planned = (answer: ForemanRequest | Plan): Plan => answer as Plan;
