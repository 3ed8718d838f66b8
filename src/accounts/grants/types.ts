/** What a user has agreed with an app: how it is kept, and what the app's tokens are for. */
import { z } from 'zod';
import { isId, type KeyId, type UserId } from '../../platform/ids';
import type { Scope } from '../types';

/** What an app may be let in for; `admin` is for keys and the operator. */
export const grantScopes = ['requests:read', 'requests:write'] as const satisfies readonly Scope[];
export type GrantScope = (typeof grantScopes)[number];

/** As the user's foreman keeps it: without this record no token of the grant opens anything. */
export interface AppGrant {
  /** Of the authorization server. */
  readonly id: string;
  readonly clientId: string;
  /** As the app calls itself, fit to be shown. */
  readonly clientName: string;
  /** Where the app was told, exactly. */
  readonly redirectUri: string;
  readonly scopes: readonly GrantScope[];
  readonly keyId: KeyId;
  readonly createdAt: number;
  /** No token of it lives longer. */
  readonly expiresAt: number;
}

/** What the authorization server keeps for us in a grant, sealed with its tokens. */
export type GrantProps = z.output<typeof grantPropsSchema>;
export const grantPropsSchema = z.object({
  userId: z.custom<UserId>((value) => typeof value === 'string' && isId('usr', value)),
  keyId: z.custom<KeyId>((value) => typeof value === 'string' && isId('key', value)),
  scopes: z.array(z.enum(grantScopes)),
});

/** The one resource that apps get tokens for. */
const RESOURCE_PATH = '/mcp';

/**
 * What a token has to be for to be taken at this origin; null where none is: one that went over plain
 * http could be read on its way. Loopback goes nowhere.
 */
export function audienceAt(origin: string): string | null {
  const { protocol, hostname } = new URL(origin);
  const isSafe = protocol === 'https:' || isLoopback(hostname);
  return isSafe ? `${origin}${RESOURCE_PATH}` : null;
}

const isLoopback = (hostname: string) =>
  hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
