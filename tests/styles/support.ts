import type { Style } from '../../src/styles/types';

export const NOW = 1_800_000_000_000;

export const styleOf = (id: string, overrides: Partial<Style> = {}): Style => ({
  id,
  description: '',
  promptTemplate: '{prompt}, in ink',
  negativePrompt: null,
  defaults: {},
  createdAt: NOW,
  updatedAt: NOW,
  ...overrides,
});
