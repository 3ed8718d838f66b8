import { type ConnectionOptions, connect, dataOf, type Http } from './connection';
import { Endpoints } from './endpoints';
import { type Generated, type GenerateOptions, generate } from './generating';
import { Images } from './images';
import { Keys } from './keys';
import { Requests } from './requests';
import { type Surroundings, surroundings } from './retrying';
import type { CallOptions, Me, Model, Submission, UsagePage, UsageQuery, Whole } from './types';

export type ForemanOptions = ConnectionOptions;

/** A client of one Foreman, with one key. */
export class Foreman {
  readonly requests: Requests;
  readonly images: Images;
  readonly models: { list(options?: CallOptions): Promise<Whole<Model>> };
  readonly webhooks: Endpoints;
  readonly keys: Keys;
  /** Every route, with the types of its body and answers; tried again as all the rest is. */
  readonly http: Http;
  readonly #connection: ReturnType<typeof connect>;

  /** The second argument is for tests. */
  constructor(options: ForemanOptions, within: Surroundings = surroundings) {
    const connection = connect(options, within);
    const { http } = connection;
    this.#connection = connection;
    this.http = http;
    this.requests = new Requests(connection);
    this.images = new Images(connection);
    this.models = { list: (given = {}) => dataOf(http.GET('/v1/models', { ...given })) };
    this.webhooks = new Endpoints(connection);
    this.keys = new Keys(connection);
  }

  /**
   * Submits, waits, and answers with the images.
   * @throws GenerationFailed when it ends without, WaitTimedOut, ForemanError, ConnectionFailed, and the
   * reason of the signal once the request is canceled, or could not be within seconds.
   */
  generate(input: Submission, options: GenerateOptions = {}): Promise<Generated> {
    return generate(this.#connection, input, options);
  }

  /** Whose key this is, its limits and their use. */
  me(options: CallOptions = {}): Promise<Me> {
    return dataOf(this.http.GET('/v1/me', { ...options }));
  }

  /** What was made, and for how much. */
  usage(query: UsageQuery = {}, options: CallOptions = {}): Promise<UsagePage> {
    return dataOf(this.http.GET('/v1/me/usage', { params: { query }, ...options }));
  }
}
