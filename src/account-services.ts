/** Who may do what, wired together: keys, sign-in, users, and what is kept of them. */
import { waitUntil } from 'cloudflare:workers';
import { createAuditService } from './accounts/audit/service';
import { createAuditStore } from './accounts/audit/store';
import { createAuthenticate } from './accounts/authenticate';
import { createDeletionService } from './accounts/deletion/service';
import { createUserNames } from './accounts/directory';
import { createOpenGrant } from './accounts/grants/opening';
import { createGrantService } from './accounts/grants/service';
import { createKeyService } from './accounts/keys/service';
import { createKeyStore } from './accounts/keys/store';
import { createReadKey } from './accounts/keys/text';
import { createMeService } from './accounts/me/service';
import { createAccountService } from './accounts/service';
import { createSignIn } from './accounts/sign-in/sign-in';
import { createAccountStore } from './accounts/store';
import { createOpenTicket } from './accounts/tickets/opening';
import type { Credential, Whence } from './accounts/types';
import { createUsageService } from './accounts/usage/service';
import { createUsageStore } from './accounts/usage/store';
import type { RemoteForeman } from './foreman/stub';
import { createConsent } from './oauth/consent';
import { createOAuth } from './oauth/server';
import type { UserId } from './platform/ids';
import type { Logger } from './platform/log';
import type { Sleep } from './platform/patience';
import { createShield } from './platform/shield';
import type { readSettings } from './settings';
import { createSecret } from './webhooks/signature';

export interface AccountDeps {
  readonly env: Env;
  readonly read: ReturnType<typeof readSettings>;
  readonly foreman: (userId: UserId) => RemoteForeman;
  readonly knowsModel: (id: string) => boolean;
  readonly fetch: typeof fetch;
  readonly sleep: Sleep;
  readonly now: () => number;
  readonly log: Logger;
}

export function createAccountServices(deps: AccountDeps) {
  const { env, read, foreman, knowsModel, fetch, sleep, now, log } = deps;
  const shield = createShield({ limiter: env.SHIELD, log });
  const names = createUserNames(env);
  const accounts = createAccountService({
    foreman,
    names,
    store: createAccountStore(env.DB),
    now,
    createWebhookSecret: createSecret,
    defaultLimits: read.defaultLimits,
    knowsModel,
  });
  const signIn = createSignIn({
    settings: read.signIn,
    fetch,
    findUser: names.find,
    ensureUser: (input) => accounts.ensureUser(input),
    keepAlive: waitUntil,
    sleep,
    now,
    log,
  });
  const { keySigning: signing } = read;
  const readKey = createReadKey(signing);
  const authorize = (credential: Credential) => foreman(credential.userId).authorize(credential);
  const countFailure = (from: Whence) => shield.count('auth', from);
  const oauth = createOAuth({
    kv: env.OAUTH_KV,
    // The local machine may have no network, and apps that see no other way then register.
    clientDocuments: read.settings.environment === 'production',
    authorize,
    forget: (grant) => foreman(grant.userId).forgetGrant(grant),
    now,
    log,
  });
  const grants = createGrantService({ foreman, held: oauth.held, now, log });
  return {
    shield,
    accounts,
    oauth,
    grants,
    consent: createConsent({
      ...{ oauth, readKey, authorize, countFailure, now, log },
      addGrant: (input) => grants.add(input),
    }),
    authenticate: createAuthenticate({
      readKey,
      adminToken: read.settings.adminToken,
      signIn,
      openTicket: createOpenTicket({ secret: read.settings.linkSigningSecret, now }),
      openGrant: createOpenGrant(oauth.validate),
      authorize,
      countFailure,
      now,
    }),
    keys: createKeyService({ foreman, store: createKeyStore(env.DB), now, signing }),
    me: createMeService({ foreman }),
    audit: createAuditService({ store: createAuditStore(env.DB), sleep, log }),
    usage: createUsageService({
      store: createUsageStore(env.DB),
      getUser: (id) => accounts.getUser(id),
    }),
    deletions: createDeletionService({ foreman }),
  };
}
