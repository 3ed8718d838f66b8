/**
 * The authorization server for `/mcp`: @cloudflare/workers-oauth-provider, one instance per origin,
 * since issuer and audience are spelled with it. Tokens, codes and registrations are the library's
 * and lie in KV; who may agree to what is decided in `consent.ts`, and what a grant is worth by the
 * user's foreman.
 */
import {
  OAuthAuthorizationServer,
  OAuthError,
  type OAuthHelpers,
} from '@cloudflare/workers-oauth-provider';
import type { ValidateToken } from '../accounts/grants/opening';
import type { HeldGrants } from '../accounts/grants/service';
import { audienceAt, grantPropsSchema, grantScopes } from '../accounts/grants/types';
import type { Authorization, GrantCredential, UserId } from '../accounts/types';
import { AppError } from '../platform/errors';
import { isId } from '../platform/ids';
import type { Logger } from '../platform/log';
import { type EndedGrant, steadyKv, tellingOfEnds } from './kv';

/** How long a grant lives, however often its tokens are renewed: then its user is asked again. */
export const GRANT_LIFE_SECONDS = 30 * 86_400;
const ACCESS_TOKEN_SECONDS = 3_600;
/** Nobody has more names; whoever makes up more starts over. */
const MAX_ORIGINS = 20;
/** `<user id>:<grant id>:<secret>`, as the library makes it. Nothing else is worth a look into KV. */
const TOKEN = /^(usr_\w{27}):([\w-]{16}):[\w-]{32}$/;
/** Each is read by itself, and an invocation may make 1,000 calls; a user has 100 at the most. */
const PAGE = 100;
const MAX_PAGES = 5;
/** Each of these is a list and some deletions more. */
const ENDED_AT_ONCE = 20;

export interface OAuthDeps {
  readonly kv: KVNamespace;
  /** Client ids may be URLs of documents. Needs the compatibility flag global_fetch_strictly_public. */
  readonly clientDocuments: boolean;
  /** The foreman's word on a grant whose tokens are to be renewed. */
  readonly authorize: (credential: GrantCredential) => Promise<Authorization>;
  /** Word to the foreman of a grant that has ended here. */
  readonly forget: (grant: EndedGrant & { readonly correlationId: string }) => Promise<unknown>;
  readonly now: () => number;
  readonly log: Logger;
}

/** At one origin. */
export interface OAuthHere {
  readonly helpers: OAuthHelpers;
  /** Registration, tokens and what is published of the server, as the library answers. */
  answer(request: Request): Promise<Response>;
}

export interface OAuth {
  /** Null where no token may travel: see `audienceAt`. */
  at(origin: string): OAuthHere | null;
  readonly validate: ValidateToken;
  readonly held: HeldGrants;
  /** Of a user who is going for good, a page at a time. */
  endSome(userId: UserId): Promise<{ readonly more: boolean }>;
}

export function createOAuth(deps: OAuthDeps): OAuth {
  const kv = { OAUTH_KV: steadyKv(deps.kv) };
  const tellingKv = { OAUTH_KV: tellingOfEnds(kv.OAUTH_KV, (grant) => tellForeman(grant, deps)) };
  const servers = new Map<string, OAuthAuthorizationServer<typeof kv>>();
  const serverAt = (origin: string) => {
    const audience = audienceAt(origin);
    const known = servers.get(origin);
    if (known || audience === null) return known ?? null;
    if (servers.size >= MAX_ORIGINS) servers.clear();
    const made = makeServer(origin, audience, deps);
    servers.set(origin, made);
    return made;
  };
  // Lists and deletions have no audience: any origin will do.
  const helpers = makeServer(ANYWHERE, `${ANYWHERE}/mcp`, deps).getOAuthApi(kv);

  return {
    at(origin) {
      const server = serverAt(origin);
      return (
        server && {
          helpers: server.getOAuthApi(kv),
          answer: (request) => server.fetch(atOrigin(request, origin), tellingKv, NO_CONTEXT),
        }
      );
    },

    async validate({ token, audience }) {
      const [, userId, grantId] = TOKEN.exec(token) ?? [];
      const server = serverAt(new URL(audience).origin);
      if (!userId || !grantId || !isId('usr', userId) || !server) return null;
      const valid = await server.validateToken<unknown>(audience, token, kv);
      if (!valid || valid.clientId === undefined) return null;
      const { clientId, scope = [], expiresAt = 0, props } = valid;
      return { userId, grantId, clientId, scopes: scope, expiresAt: expiresAt * 1_000, props };
    },

    held: {
      async ids(userId) {
        const ids = new Set<string>();
        let cursor: string | undefined;
        for (let pages = 0; pages < MAX_PAGES; pages += 1) {
          const where = cursor === undefined ? {} : { cursor };
          const page = await helpers.listUserGrants(userId, { limit: PAGE, ...where });
          for (const { id } of page.items) ids.add(id);
          cursor = page.cursor;
          if (cursor === undefined) break;
        }
        return ids;
      },
      end: ({ userId, id }) => helpers.revokeGrant(id, userId),
    },

    async endSome(userId) {
      const { items, cursor } = await helpers.listUserGrants(userId, { limit: ENDED_AT_ONCE });
      for (const { id } of items) await helpers.revokeGrant(id, userId);
      return { more: cursor !== undefined };
    },
  };
}

/** For the handlers of somebody's own, of which this role of the library has none. */
const NO_CONTEXT = {} as ExecutionContext;

const ANYWHERE = 'https://foreman.invalid';

/** The library compares with what a client was told, which is not always what the request came by. */
export function atOrigin(request: Request, origin: string): Request {
  const { pathname, search } = new URL(request.url);
  return new Request(origin + pathname + search, request);
}

function makeServer(issuer: string, audience: string, deps: OAuthDeps) {
  const { clientDocuments, log } = deps;
  return new OAuthAuthorizationServer<{ OAUTH_KV: KVNamespace }>({
    issuer,
    resources: [audience],
    authorizeEndpoint: '/oauth/authorize',
    tokenEndpoint: '/oauth/token',
    clientRegistrationEndpoint: '/oauth/register',
    scopesSupported: [...grantScopes],
    clientIdMetadataDocumentEnabled: clientDocuments,
    accessTokenTTL: ACCESS_TOKEN_SECONDS,
    refreshTokenTTL: GRANT_LIFE_SECONDS,
    async tokenExchangeCallback({ clientId, grantId, props }) {
      await refuseEnded({ clientId, grantId, props }, deps);
    },
    onError({ status, internal }) {
      log.info('oauth.refused', { status, reason: `${internal?.category}.${internal?.reason}` });
    },
  });
}

/** Should the foreman not hear of it: the grant is worth nothing, and soon listed no more. */
async function tellForeman(grant: EndedGrant, { forget, log }: OAuthDeps): Promise<void> {
  try {
    await forget({ ...grant, correlationId: crypto.randomUUID() });
  } catch (error) {
    log.warn('oauth.end_not_told', { user_id: grant.userId, error });
  }
}

/** Whose key has ended gets no more tokens, and is told in words that make an app ask its user anew. */
async function refuseEnded(
  { clientId, grantId, props }: { clientId: string; grantId: string; props: unknown },
  deps: OAuthDeps,
): Promise<void> {
  const { userId, keyId, scopes } = grantPropsSchema.parse(props);
  const verdict = await deps.authorize({
    ...{ via: 'grant', userId, grantId, clientId, scopes },
    from: { address: null, correlationId: crypto.randomUUID() },
    expiresAt: deps.now() + ACCESS_TOKEN_SECONDS * 1_000,
    mintedBy: { via: 'key', keyId },
  });
  if (verdict.ok) return;
  // Suspension is lifted again, so the grant outlives it: `invalid_grant` would end it, and with
  // `unauthorized_client` an app forgets its registration.
  if (verdict.code === 'account_suspended') {
    throw new OAuthError('temporarily_unavailable', { description: 'This account is suspended' });
  }
  throw new OAuthError('invalid_grant', { description: 'The access that was given has ended' });
}

/** @throws AppError `not_found` where OAuth is not to be had. */
export function hereOf(oauth: OAuth, origin: string): OAuthHere {
  const here = oauth.at(origin);
  if (here) return here;
  throw new AppError('not_found', 'Apps can be let in over https only, or on this machine.');
}
