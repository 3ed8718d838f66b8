/**
 * Webhook endpoints, as their owner handles them. The user's foreman keeps them; ids and secrets are
 * made here, so that a call to it can be made again. Pings are posted from here, too.
 */
import { deniedFault, refusalFault } from '../../accounts/errors';
import type { Credential, Denial, Refusal } from '../../accounts/types';
import { cellOf, newId, type UserId } from '../../platform/ids';
import { fingerprintOf } from '../../requests/idempotency';
import {
  endpointMoved,
  endpointNotFound,
  endpointNotReachable,
  invalidEndpointUrl,
  keyMismatch,
  rotationFault,
  tooManyEndpoints,
} from '../errors';
import { type PostDeps, postWebhook } from '../posting';
import type { FinishedDelivery } from '../types';
import { pingDelivery, pingJob, pingResult } from './ping';
import {
  type Endpoint,
  type EndpointChanges,
  MAX_ENDPOINTS,
  type PingResult,
  type RotationRefusal,
  type SecretRotation,
} from './types';

const READ = 'requests:read';
const WRITE = 'requests:write';

type Denied = { readonly outcome: Denial };
type Asked = { readonly credential: Credential };
type Named = Asked & { readonly id: string };
type Ping = FinishedDelivery & { readonly endpointId: Endpoint['id'] };
type NewFields = Pick<Endpoint, 'url' | 'events' | 'description'>;
interface RotatedEndpoint {
  readonly endpoint: Endpoint;
  readonly secret: string;
}
interface RotatedSecret {
  readonly secret: string;
  readonly previousExpiresAt: number | null;
}

/** What this service asks of a user's foreman; null for an unknown endpoint. */
export interface EndpointForeman {
  createEndpoint(
    input: Asked & { endpoint: Endpoint },
  ): Promise<
    { endpoint: Endpoint; replayed: boolean } | { refusal: 'mismatch' | 'too_many' } | Denied
  >;
  listEndpoints(input: Asked): Promise<{ endpoints: readonly Endpoint[] } | Denied>;
  getEndpoint(input: Named): Promise<Endpoint | Denied | null>;
  endpointToChange(input: Named): Promise<Endpoint | Denied | null>;
  endpointToPing(
    input: Named,
  ): Promise<{ endpoint: Endpoint } | { refusal: Refusal; at: number } | Denied | null>;
  changeEndpoint(input: Named & { changes: EndpointChanges }): Promise<Endpoint | Denied | null>;
  deleteEndpoint(input: Named): Promise<object | Denied>;
  rotateEndpointSecret(
    input: Named & { rotation: SecretRotation },
  ): Promise<RotatedEndpoint | { refusal: RotationRefusal } | Denied | null>;
  rotateDefaultSecret(
    input: Asked & { rotation: SecretRotation },
  ): Promise<RotatedSecret | { refusal: RotationRefusal } | Denied | null>;
  disableEndpoint(input: Named): Promise<Endpoint | Denied | null>;
  keepPing(input: Asked & { ping: Ping }): Promise<object | Denied | null>;
  /** `endpoint` is null when it has moved since it was pinged. */
  enableEndpoint(
    input: Asked & { ping: Ping },
  ): Promise<{ endpoint: Endpoint | null } | Denied | null>;
}

/** Where a call came from, and what is to be told of it to receivers. */
export interface CallContext {
  readonly origin: string;
  readonly correlationId: string;
  readonly traceparent: string | null;
}

export interface EndpointServiceDeps {
  readonly foreman: (userId: UserId) => EndpointForeman;
  /** What is wrong with a URL, as a sentence; null for one that may be called. */
  readonly urlFault: (url: string, origin: string) => string | null;
  readonly post: PostDeps;
  readonly createSecret: () => string;
  readonly now: () => number;
}

export type EndpointService = ReturnType<typeof createEndpointService>;

export function createEndpointService(deps: EndpointServiceDeps) {
  const { now } = deps;
  const foremanOf = ({ credential }: Asked) => deps.foreman(credential.userId);

  const checkUrl = (url: string | undefined, origin: string) => {
    const fault = url === undefined ? null : deps.urlFault(url, origin);
    if (fault !== null) throw invalidEndpointUrl(fault);
  };

  const toChange = async (input: Named): Promise<Endpoint> =>
    found(input.id, told(await foremanOf(input).endpointToChange(input), WRITE));

  const pinged = async (input: Named & { readonly context: CallContext }) => {
    const answer = found(input.id, told(await foremanOf(input).endpointToPing(input), WRITE));
    if ('refusal' in answer) throw refusalFault(answer.refusal, answer.at);
    const { endpoint } = answer;
    const startedAt = now();
    const { correlationId, traceparent } = input.context;
    const id = newId('dlv', startedAt, cellOf(endpoint.userId));
    const job = pingJob(endpoint, { id, correlationId, traceparent }, startedAt);
    const result = await postWebhook(job, deps.post);
    const ping = pingDelivery(job, { result, startedAt, now: now() });
    return { ping: { ...ping, endpointId: endpoint.id }, result: pingResult(result) };
  };

  return {
    /** @throws AppError `invalid_request`, `limit_exceeded`, `idempotency_mismatch`. */
    async create(
      input: Asked & {
        readonly fields: NewFields;
        readonly idempotencyKey: string | null;
        readonly context: CallContext;
      },
    ): Promise<{ readonly endpoint: Endpoint; readonly replayed: boolean }> {
      const { credential, fields, idempotencyKey: key, context } = input;
      checkUrl(fields.url, context.origin);
      const { userId } = credential;
      const createdAt = now();
      const endpoint: Endpoint = {
        ...{ id: newId('whk', createdAt, cellOf(userId)), userId, ...fields },
        secrets: [{ secret: deps.createSecret(), createdAt, expiresAt: null, madeBy: null }],
        rotations: [],
        madeBy: key === null ? null : { key, fingerprint: await fingerprintOf(plain(fields)) },
        ...{ disabled: null, failingSince: null, createdAt, updatedAt: createdAt },
      };
      const answer = told(await foremanOf(input).createEndpoint({ credential, endpoint }), WRITE);
      if ('endpoint' in answer) return answer;
      throw answer.refusal === 'mismatch' ? keyMismatch() : tooManyEndpoints(MAX_ENDPOINTS);
    },

    async list(input: Asked): Promise<readonly Endpoint[]> {
      return told(await foremanOf(input).listEndpoints(input), READ).endpoints;
    },

    async get(input: Named): Promise<Endpoint> {
      return found(input.id, told(await foremanOf(input).getEndpoint(input), READ));
    },

    async change(
      input: Named & { readonly changes: EndpointChanges; readonly context: CallContext },
    ): Promise<Endpoint> {
      const { credential, id, changes, context } = input;
      checkUrl(changes.url, context.origin);
      const answer = await foremanOf(input).changeEndpoint({ credential, id, changes });
      return found(id, told(answer, WRITE));
    },

    /** Looked for first: the deletion itself finds nothing when it is asked for once more. */
    async remove(input: Named): Promise<void> {
      await toChange(input);
      told(await foremanOf(input).deleteEndpoint(input), WRITE);
    },

    /** @throws AppError `idempotency_mismatch`; `conflict` when what the key made has ended. */
    async rotateSecret(input: Named & Omit<SecretRotation, 'secret'>): Promise<RotatedEndpoint> {
      const { credential, id } = input;
      const rotation = rotationOf(input, deps);
      const asked = await foremanOf(input).rotateEndpointSecret({ credential, id, rotation });
      const answer = found(id, told(asked, WRITE));
      if ('refusal' in answer) throw rotationFault(answer.refusal);
      return answer;
    },

    /** @throws AppError `idempotency_mismatch`; `conflict` when what the key made has ended. */
    async rotateDefaultSecret(
      input: Asked & Omit<SecretRotation, 'secret'>,
    ): Promise<RotatedSecret> {
      const { credential } = input;
      const rotation = rotationOf(input, deps);
      const asked = await foremanOf(input).rotateDefaultSecret({ credential, rotation });
      const answer = found('default-secret', told(asked, WRITE));
      if ('refusal' in answer) throw rotationFault(answer.refusal);
      return answer;
    },

    /** @throws AppError `not_found`, `rate_limited`. */
    async ping(input: Named & { readonly context: CallContext }): Promise<PingResult> {
      const { credential, id } = input;
      const { ping, result } = await pinged(input);
      found(id, told(await foremanOf(input).keepPing({ credential, ping }), WRITE));
      return result;
    },

    async disable(input: Named): Promise<Endpoint> {
      return found(input.id, told(await foremanOf(input).disableEndpoint(input), WRITE));
    },

    /** @throws AppError `rate_limited`, `endpoint_not_reachable`; `conflict` when its URL was changed meanwhile. */
    async enable(input: Named & { readonly context: CallContext }): Promise<Endpoint> {
      const { credential, id } = input;
      const endpoint = await toChange(input);
      if (!endpoint.disabled) return endpoint;
      const { ping, result } = await pinged(input);
      const kept = await foremanOf(input).enableEndpoint({ credential, ping });
      const answer = found(id, told(kept, WRITE));
      if (ping.status !== 'delivered') throw endpointNotReachable(result);
      if (!answer.endpoint) throw endpointMoved();
      return answer.endpoint;
    },
  };
}

const rotationOf = (
  { overlapMs, madeBy }: Omit<SecretRotation, 'secret'>,
  { createSecret }: Pick<EndpointServiceDeps, 'createSecret'>,
): SecretRotation => ({ secret: createSecret(), overlapMs, madeBy });

const plain = ({ url, events, description }: NewFields) => ({
  url,
  events: [...events],
  description,
});

function told<T extends object>(answer: T | Denied, scope: string): T;
function told<T extends object>(answer: T | Denied | null, scope: string): T | null;
function told<T extends object>(answer: T | Denied | null, scope: string): T | null {
  if (answer !== null && 'outcome' in answer) throw deniedFault(answer.outcome, scope);
  return answer;
}

function found<T>(id: string, value: T | null): T {
  if (value === null) throw endpointNotFound(id);
  return value;
}
