/** What users learn of their own account. */
import { deniedFault, unauthorized } from '../errors';
import type { Credential, Denial, UserId } from '../types';
import type { Me } from './view';

type Denied = { readonly outcome: Denial };

/** What this service asks of a user's foreman. */
export interface MeForeman {
  me(input: { credential: Credential }): Promise<Me | Denied | null>;
  defaultWebhookSecret(input: {
    credential: Credential;
  }): Promise<{ secret: string } | Denied | null>;
}

export type MeService = ReturnType<typeof createMeService>;

export function createMeService(deps: { readonly foreman: (userId: UserId) => MeForeman }) {
  return {
    async me(credential: Credential): Promise<Me> {
      return granted(await deps.foreman(credential.userId).me({ credential }), 'requests:read');
    },

    /** What signs the webhooks of requests that name a URL themselves. */
    async defaultWebhookSecret(credential: Credential): Promise<string> {
      const answer = await deps.foreman(credential.userId).defaultWebhookSecret({ credential });
      return granted(answer, 'requests:write').secret;
    },
  };
}

function granted<T extends object>(answer: T | Denied | null, scope: string): T {
  if (answer === null) throw unauthorized();
  if ('outcome' in answer) throw deniedFault(answer.outcome, scope);
  return answer;
}
