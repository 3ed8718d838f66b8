/** What a user agrees with apps, and takes back. The ids are the authorization server's. */
import * as register from '../accounts/grants/register';
import type { AppGrant } from '../accounts/grants/types';
import type { Credential } from '../accounts/types';
import { clientCall } from './client-call';
import type { Desk } from './desk';
import { wakeProjector } from './waking';

interface Acted {
  readonly credential: Credential;
}

export const grantCalls = {
  addGrant: clientCall('requests:read', (desk, input: Acted & { readonly grant: AppGrant }) => {
    const { grant, credential } = input;
    const isAdded = register.addGrant(desk, grant, credential);
    wakeProjector(desk, credential.userId);
    return { isAdded };
  }),

  grants: clientCall('requests:read', (desk) => ({ grants: register.listGrants(desk) })),

  /** For whoever is to end it. */
  grantToEnd: clientCall('requests:write', (desk: Desk, { id }: { readonly id: string }) => {
    return register.listGrants(desk).find((grant) => grant.id === id) ?? null;
  }),

  endGrant: clientCall('requests:write', (desk, input: Acted & { readonly id: string }) => {
    register.endGrant(desk, input.id, input.credential);
    wakeProjector(desk, input.credential.userId);
    return {};
  }),
};
