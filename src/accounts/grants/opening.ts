/** Where an app's access token opens something, and for whom it then stands. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { AppError } from '../../platform/errors';
import type { HttpEnv } from '../../platform/http';
import type { GrantCredential, Whence } from '../types';
import { audienceAt, grantPropsSchema, grantScopes } from './types';

/** Null for what is no token, or none any more, or one for something else. */
export type OpenGrant = (brought: {
  readonly token: string;
  readonly audience: string;
  readonly from: Whence;
}) => Promise<GrantCredential | null>;

/** What the authorization server says of a token that it has issued for this audience. */
export type ValidateToken = (input: {
  readonly token: string;
  readonly audience: string;
}) => Promise<{
  readonly userId: string;
  readonly grantId: string;
  readonly clientId: string;
  readonly scopes: readonly string[];
  readonly expiresAt: number;
  readonly props: unknown;
} | null>;

/** Where who is denied is told how to be let in (RFC 9728, section 5.1). */
const METADATA_PATH = '/.well-known/oauth-protected-resource/mcp';

/** On exactly this route an app's token counts; on any other it is a wrong token like another. */
export function takeGrants(app: OpenAPIHono<HttpEnv>): void {
  app.use('/mcp', async (c, next) => {
    const audience = audienceAt(c.get('origin'));
    if (audience !== null) c.set('asking', { ...c.get('asking'), audience });
    await next();
    if (audience === null) return;
    const metadata = `resource_metadata="${c.get('origin')}${METADATA_PATH}"`;
    if (c.res.status === 401) {
      const isFaulty = c.req.header('authorization') !== undefined;
      const fault = isFaulty ? ', error="invalid_token"' : '';
      const scope = grantScopes.join(' ');
      c.header('www-authenticate', `Bearer ${metadata}, scope="${scope}"${fault}`);
    }
    // An app may ask its user for more (RFC 6750, section 3.1).
    const lacking = c.error instanceof AppError ? c.error.details.scope : undefined;
    if (lacking !== undefined) {
      const fault = `error="insufficient_scope", scope="${lacking}"`;
      c.header('www-authenticate', `Bearer ${metadata}, ${fault}`);
    }
  });
}

export function createOpenGrant(validate: ValidateToken): OpenGrant {
  return async ({ token, audience, from }) => {
    const valid = await validate({ token, audience });
    const props = grantPropsSchema.safeParse(valid?.props).data;
    if (!valid || !props || props.userId !== valid.userId) return null;
    const { userId, keyId } = props;
    const { grantId, clientId, expiresAt } = valid;
    // A token may be for less than what was agreed to, never for more.
    const scopes = props.scopes.filter((scope) => valid.scopes.includes(scope));
    const mintedBy = { via: 'key', keyId } as const;
    return { via: 'grant', userId, from, grantId, clientId, scopes, expiresAt, mintedBy };
  };
}
