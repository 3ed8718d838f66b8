/**
 * What happens on the consent page: a key shows who the user is, and what the user ticks is what the
 * app gets, as far as the key itself may do it. Nothing of the key is kept but its id.
 */
import {
  AuthorizationError,
  type AuthRequest,
  CimdFetchError,
} from '@cloudflare/workers-oauth-provider';
import type { HtmlEscapedString } from 'hono/utils/html';
import {
  type AppGrant,
  type GrantProps,
  type GrantScope,
  grantScopes,
} from '../accounts/grants/types';
import type { Authorization, KeyCredential, Whence } from '../accounts/types';
import { AppError } from '../platform/errors';
import type { Logger } from '../platform/log';
import { formPagePolicy } from '../platform/security-headers';
import { consentPage, faultPage, shownName } from './consent-page';
import { atOrigin, GRANT_LIFE_SECONDS, hereOf, type OAuth, type OAuthHere } from './server';

export interface ConsentDeps {
  readonly oauth: OAuth;
  readonly readKey: (text: string, from: Whence) => KeyCredential | null;
  readonly authorize: (credential: KeyCredential) => Promise<Authorization>;
  /** Puts it on record with the user's foreman, without which its tokens open nothing. */
  readonly addGrant: (input: { credential: KeyCredential; grant: AppGrant }) => Promise<void>;
  /** @throws AppError `too_many_from_address` */
  readonly countFailure: (from: Whence) => Promise<void>;
  readonly now: () => number;
  readonly log: Logger;
}

/** One that comes from the page, or ought to. */
export interface Decision {
  readonly request: Request;
  readonly origin: string;
  readonly form: URLSearchParams;
  readonly from: Whence;
}

export interface Consent {
  ask(request: Request, origin: string): Promise<Response>;
  decide(decision: Decision): Promise<Response>;
}

/** It stands in credentials that sockets carry. A registered id has 16 characters, others are URLs. */
const MAX_CLIENT_ID_CHARS = 512;

export function createConsent(deps: ConsentDeps): Consent {
  const { oauth, log } = deps;
  return {
    ask: (request, origin) =>
      answering(log, async () => {
        const here = hereOf(oauth, origin);
        const asked = await here.helpers.parseAuthRequest(atOrigin(request, origin));
        refuseUnfit(asked);
        return show(here, asked, { chosen: offeredTo(asked) });
      }),

    decide: ({ request, origin, form, from }) =>
      answering(log, async () => {
        const here = hereOf(oauth, origin);
        const handle = form.get('handle') ?? '';
        if (form.get('decision') !== 'approve') {
          const denied = await here.helpers.denyConsent(request, handle);
          return new Response(null, { status: 302, headers: denied.headers });
        }
        // The handle is used up before the key is looked at: one page is one try.
        const { request: asked, headers } = await here.helpers.approveConsent(request, handle);
        const ticked = form.getAll('scope');
        const offered = offeredTo(asked);
        const chosen = offered.filter((scope) => ticked.includes(scope));
        const agreed = await agree(deps, { key: form.get('key') ?? '', offered, chosen, from });
        if ('fault' in agreed) return show(here, asked, { chosen, ...agreed, headers });
        const redirectTo = await letIn(deps, here, { asked, ...agreed });
        headers.set('location', redirectTo);
        return new Response(null, { status: 302, headers });
      }),
  };
}

/** What the page offers: what the app asks for, or all when that is nothing that there is. */
function offeredTo({ scope }: AuthRequest): GrantScope[] {
  const asked = grantScopes.filter((known) => scope.includes(known));
  return asked.length > 0 ? asked : [...grantScopes];
}

/** @throws AuthorizationError for what the library would let pass. */
function refuseUnfit(asked: AuthRequest): void {
  if (asked.clientId.length > MAX_CLIENT_ID_CHARS) {
    throw new AuthorizationError('invalid_request', { description: 'The client_id is too long' });
  }
  // OAuth 2.1 wants it of every client; the library of those without a secret.
  if (asked.codeChallenge === undefined) {
    const { redirectUri, state, issuer } = asked;
    const description = 'A code_challenge (PKCE, S256) is required';
    throw new AuthorizationError('invalid_request', {
      ...{ description, redirectUri, state },
      ...(issuer === undefined ? {} : { issuer }),
    });
  }
}

interface Shown {
  readonly chosen: readonly GrantScope[];
  readonly fault?: string;
  readonly status?: number;
  /** Of the answer that this page is a part of. */
  readonly headers?: Headers;
}

async function show({ helpers }: OAuthHere, asked: AuthRequest, shown: Shown): Promise<Response> {
  const { chosen, fault = null, status = 200 } = shown;
  // Before anything is stored for the page.
  const app = await helpers.describeConsent(asked);
  const { handle, headers } = await helpers.beginConsent(asked);
  for (const cookie of shown.headers?.getSetCookie() ?? []) headers.append('set-cookie', cookie);
  const page = consentPage({
    app: app.clientName,
    domain: app.clientDomain ?? null,
    redirectHost: app.redirectHost,
    isLocalApp: app.redirectIsLoopback,
    scopes: offeredTo(asked).map((scope) => ({ scope, isChosen: chosen.includes(scope) })),
    handle,
    fault,
  });
  // An app's own page may send the browser on to others of its maker.
  const { protocol, origin } = new URL(asked.redirectUri);
  const targets = protocol === 'https:' ? ['https:'] : ['https:', origin];
  return pageOf(page, { status, headers, targets });
}

type Agreed =
  | { readonly credential: KeyCredential; readonly scopes: readonly GrantScope[] }
  | { readonly fault: string; readonly status: number };

/** Whether somebody who may do so has agreed, and to what. */
async function agree(
  deps: ConsentDeps,
  input: {
    readonly key: string;
    readonly offered: readonly GrantScope[];
    readonly chosen: readonly GrantScope[];
    readonly from: Whence;
  },
): Promise<Agreed> {
  const { key, offered, chosen, from } = input;
  if (chosen.length === 0) return { fault: 'Tick what the app may do, or deny.', status: 422 };
  if (offered.includes('requests:read') && !chosen.includes('requests:read')) {
    return { fault: 'An app that may not see gets nowhere: tick that too, or deny.', status: 422 };
  }
  const credential = deps.readKey(key.trim(), from);
  const verdict = credential && (await deps.authorize(credential));
  if (verdict?.ok === false && verdict.code === 'account_suspended') {
    return { fault: 'This account is suspended.', status: 403 };
  }
  if (!credential || !verdict?.ok) {
    await deps.countFailure(from);
    return { fault: 'This is no API key, or none any more.', status: 401 };
  }
  const scopes = chosen.filter((scope) => verdict.scopes.includes(scope));
  if (scopes.length === 0 || !verdict.scopes.includes('requests:read')) {
    return { fault: 'This key may not do that itself.', status: 403 };
  }
  return { credential, scopes };
}

/** The app gets its code only once the foreman knows of the grant. */
async function letIn(
  deps: ConsentDeps,
  { helpers }: OAuthHere,
  input: {
    readonly asked: AuthRequest;
    readonly credential: KeyCredential;
    readonly scopes: readonly GrantScope[];
  },
): Promise<string> {
  const { asked, credential, scopes } = input;
  const { userId, keyId } = credential;
  const { clientName } = await helpers.describeConsent(asked);
  const props: GrantProps = { userId, keyId, scopes: [...scopes] };
  const { redirectTo } = await helpers.completeAuthorization({
    ...{ request: asked, userId, props },
    scope: [...scopes],
    metadata: {},
  });
  const id = grantIdIn(redirectTo);
  const createdAt = deps.now();
  const { clientId, redirectUri } = asked;
  const grant: AppGrant = {
    ...{ id, clientId, clientName: shownName(clientName), redirectUri, scopes, keyId, createdAt },
    // Its first hour may begin ten minutes from now, and its last token outlives it by one.
    expiresAt: createdAt + (GRANT_LIFE_SECONDS + 2 * 3_600) * 1_000,
  };
  try {
    await deps.addGrant({ credential, grant });
  } catch (error) {
    await helpers.revokeGrant(id, userId).catch(() => {});
    throw error;
  }
  return redirectTo;
}

/** A code is `<user id>:<grant id>:<secret>`: nothing else says which grant has just been made. */
function grantIdIn(redirectTo: string): string {
  const [, id] = (new URL(redirectTo).searchParams.get('code') ?? '').split(':');
  if (!id) throw new Error('the code names no grant');
  return id;
}

/** A browser is sent back only to where the library has found that the app is to be told. */
async function answering(log: Logger, work: () => Promise<Response>): Promise<Response> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof AuthorizationError) {
      log.info('oauth.not_asked', { reason: error.code });
      return error.redirectTo === undefined
        ? pageOf(faultPage(`${error.description}.`), { status: 400 })
        : new Response(null, { status: 302, headers: { location: error.redirectTo } });
    }
    if (error instanceof CimdFetchError) {
      log.info('oauth.not_asked', { reason: error.reason });
      return pageOf(faultPage('What the app says of itself cannot be read.'), { status: 400 });
    }
    if (error instanceof AppError && error.code === 'conflict') {
      return pageOf(faultPage(error.message), { status: 409 });
    }
    throw error;
  }
}

type Page = HtmlEscapedString | Promise<HtmlEscapedString>;

async function pageOf(
  page: Page,
  answer: {
    readonly status: number;
    readonly headers?: Headers;
    readonly targets?: readonly string[];
  },
): Promise<Response> {
  const headers = new Headers(answer.headers);
  headers.set('content-type', 'text/html; charset=utf-8');
  headers.set('cache-control', 'no-store');
  headers.set('content-security-policy', formPagePolicy(answer.targets ?? []));
  return new Response(await page, { status: answer.status, headers });
}
