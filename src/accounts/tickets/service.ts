/** Tickets for those who cannot send a header. */
import { isId, type RequestId } from '../../platform/ids';
import { deniedFault, forbidden, ticketElsewhere } from '../errors';
import type { Authorization, Credential, Minter } from '../types';
import { signTicket } from './ticket';

export interface Minted {
  readonly ticket: string;
  readonly requestId: RequestId | null;
  readonly expiresAt: number;
}

export type TicketService = ReturnType<typeof createTicketService>;

export function createTicketService(deps: {
  readonly secret: string;
  readonly authorize: (credential: Credential) => Promise<Authorization>;
  /** @throws AppError `not_found` unless it is a request of this user. */
  readonly findRequest: (input: { credential: Credential; id: RequestId }) => Promise<unknown>;
  readonly now: () => number;
}) {
  return {
    /** It ends with the key or the token that it is minted with, if that is sooner. */
    async mint(input: {
      readonly credential: Credential;
      /** Undefined: for all requests of the user. */
      readonly requestId: string | undefined;
      readonly lifeMs: number;
    }): Promise<Minted> {
      const { credential, requestId: id, lifeMs } = input;
      const mintedBy = minterOf(credential);
      const verdict = await deps.authorize(credential);
      if (!verdict.ok) throw deniedFault(verdict.code, 'requests:read');
      if (!verdict.scopes.includes('requests:read')) throw forbidden('requests:read');
      if (id !== undefined && !isId('req', id)) throw ticketElsewhere(id);
      if (id !== undefined) await deps.findRequest({ credential, id });
      const requestId = id ?? null;
      const until = verdict.until ?? Number.POSITIVE_INFINITY;
      const expiresAt = Math.min(deps.now() + lifeMs, until);
      const { userId } = credential;
      const ticket = signTicket({ userId, requestId, mintedBy, expiresAt }, deps.secret);
      return { ticket, requestId, expiresAt };
    },
  };
}

/**
 * @throws AppError `forbidden` for a ticket, which would outlive itself by others, and for an app,
 * whose tickets would outlive what was agreed with it.
 */
function minterOf(credential: Credential): Minter {
  switch (credential.via) {
    case 'key':
      return { via: 'key', keyId: credential.keyId };
    case 'token': {
      const { via, issuer, subject, scopes, expiresAt } = credential;
      return { via, issuer, subject, scopes, expiresAt };
    }
    case 'ticket':
    case 'grant':
      throw forbidden('requests:read');
  }
}
