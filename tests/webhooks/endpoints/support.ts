import type { Endpoint } from '../../../src/webhooks/endpoints/types';

export const NOW = Date.UTC(2026, 10, 20, 12);

/** Active and healthy unless told otherwise. */
export const endpointWith = (overrides: Partial<Endpoint> = {}): Endpoint => ({
  id: 'whk_000000000000000000000000000',
  userId: 'usr_000000000000000000000000000',
  url: 'https://hooks.example.com/a',
  description: '',
  events: ['*'],
  disabled: null,
  secrets: [{ secret: 'whsec_one', createdAt: NOW, expiresAt: null, madeBy: null }],
  rotations: [],
  failingSince: null,
  madeBy: null,
  createdAt: NOW,
  updatedAt: NOW,
  ...overrides,
});
