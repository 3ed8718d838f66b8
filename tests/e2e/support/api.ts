/** A client of the HTTP API, no thicker than a customer's own would be. */
import { until } from './until.ts';

export interface Attempt {
  number: number;
  provider: string;
  model: string;
  outcome: string | null;
  reason: string;
  started_at: string;
  completed_at: string | null;
  cost_usd: number;
  possibly_billed: boolean;
  provider_request_id: string | null;
  error: { code: string; message: string; details: Record<string, unknown> } | null;
}

export interface Image {
  id: string;
  url: string;
  signed_url: string;
  width: number;
  height: number;
  media_type: string;
  bytes: number;
  sha256: string;
}

export type Status = 'queued' | 'running' | 'succeeded' | 'failed' | 'canceled' | 'expired';

export interface RequestView {
  id: string;
  status: Status;
  model: string;
  input: Record<string, unknown>;
  images: Image[];
  error: { code: string; message: string; details: Record<string, unknown> } | null;
  attempts: Attempt[];
  waiting: {
    reason: string;
    position: number | null;
    next_attempt_at: string | null;
  } | null;
  warnings: string[];
  metadata: Record<string, string>;
  priority: string;
  retry_of: string | null;
  version: number;
  cost_usd: number;
  created_at: string;
  urls: { self: string; events: string; cancel: string };
}

export interface Page {
  items: RequestView[];
  next_cursor: string | null;
  total?: number;
}

export interface Problem {
  status: number;
  code: string;
  title: string;
  detail: string;
  correlation_id: string;
  errors?: { path: string; message: string }[];
}

export interface Answer<Body> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Body;
}

type Fields = Record<string, unknown>;
type HeaderFields = Record<string, string>;

export interface Api {
  readonly origin: string;
  readonly key: string;
  /** As fetch has it, with the key and a time limit: a server that hangs fails the test. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  get<Body = RequestView>(path: string, headers?: HeaderFields): Promise<Answer<Body>>;
  post<Body = RequestView>(
    path: string,
    body?: Fields,
    headers?: HeaderFields,
  ): Promise<Answer<Body>>;
  patch<Body>(path: string, body: Fields): Promise<Answer<Body>>;
  delete(path: string): Promise<Answer<Problem | null>>;
  /** @throws unless it was accepted. */
  submit(body: Fields, headers?: HeaderFields): Promise<RequestView>;
  read(id: string): Promise<RequestView>;
  /** By long-poll until it has ended. */
  ended(id: string, limitMs?: number): Promise<RequestView>;
}

/** More than the longest wait a client can ask for. */
const ANSWER_LIMIT_MS = 75_000;

const TERMINAL: readonly Status[] = ['succeeded', 'failed', 'canceled', 'expired'];
export const isTerminal = ({ status }: RequestView) => TERMINAL.includes(status);

export function createApi(options: { origin: string; key: string }): Api {
  const { origin, key } = options;
  const send: Api['fetch'] = (path, init = {}) =>
    fetch(new URL(path, origin), {
      redirect: 'manual',
      signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
      ...init,
      headers: { authorization: `Bearer ${key}`, ...(init.headers as HeaderFields | undefined) },
    });
  const call = async <Body>(path: string, init?: RequestInit): Promise<Answer<Body>> => {
    const response = await send(path, init);
    const text = await response.text();
    // What the server promises; each test checks the parts it is about.
    const body = (text === '' ? null : JSON.parse(text)) as Body;
    return { status: response.status, headers: response.headers, body };
  };
  const withBody = (method: string, body: Fields | undefined, headers: HeaderFields = {}) => ({
    method,
    headers: { ...(body ? { 'content-type': 'application/json' } : {}), ...headers },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });

  const api: Api = {
    origin,
    key,
    fetch: send,
    get: (path, headers) => call(path, headers ? { headers } : {}),
    post: (path, body, headers) => call(path, withBody('POST', body, headers)),
    patch: (path, body) => call(path, withBody('PATCH', body)),
    delete: (path) => call(path, { method: 'DELETE' }),
    async submit(body, headers) {
      const answer = await api.post('/v1/requests', body, headers);
      if (answer.status === 200 || answer.status === 202) return answer.body;
      throw new Error(`Not accepted: ${answer.status} ${JSON.stringify(answer.body)}`);
    },
    async read(id) {
      const answer = await api.get(`/v1/requests/${id}`);
      if (answer.status === 200) return answer.body;
      throw new Error(`${id} cannot be read: ${answer.status} ${JSON.stringify(answer.body)}`);
    },
    async ended(id, limitMs = 30_000) {
      let request = await api.read(id);
      return until(
        `${id} ends`,
        async () => {
          if (isTerminal(request)) return request;
          const headers = { prefer: 'wait=5', 'if-none-match': `"${request.version}"` };
          const answer = await api.fetch(`/v1/requests/${id}`, { headers });
          if (answer.status === 200) request = (await answer.json()) as RequestView;
          return isTerminal(request) ? request : null;
        },
        limitMs,
      );
    },
  };
  return api;
}
