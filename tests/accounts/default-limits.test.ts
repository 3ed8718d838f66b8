import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS } from '../../src/accounts/types';
import { readSettings } from '../../src/settings';

const read = (text?: string) => readSettings({ ...env, DEFAULT_LIMITS: text }).defaultLimits;

describe('the limits of users that are made without their own', () => {
  it('are the built-in ones when nothing is set', () => {
    expect(read()).toEqual(DEFAULT_LIMITS);
    expect(read('')).toEqual(DEFAULT_LIMITS);
  });

  it('are what the setting says, over the built-in ones', () => {
    const own = { max_running: 0, monthly_budget_usd: 5, allowed_models: ['sketch'] };
    expect(read(JSON.stringify(own))).toEqual({ ...DEFAULT_LIMITS, ...own });
    expect(read('{"monthly_budget_usd":null}').monthly_budget_usd).toBeNull();
  });

  it.each([
    ['no JSON', '{max_running: 1}', 'DEFAULT_LIMITS must be JSON'],
    ['no object', '[1]', 'DEFAULT_LIMITS'],
    ['a limit that there is not', '{"max_runing":1}', 'DEFAULT_LIMITS'],
    ['a limit below nothing', '{"burst":-1}', 'DEFAULT_LIMITS.burst'],
    [
      'a model that there is not',
      '{"allowed_models":["sketch","sketsh"]}',
      'DEFAULT_LIMITS.allowed_models.1',
    ],
    ['a null where there is no such limit', '{"burst":null}', 'DEFAULT_LIMITS.burst'],
  ])('are refused as %s, by name and without the value', (_, text, name) => {
    expect(() => read(text)).toThrow(name);
    expect(() => read(text)).not.toThrow(text);
  });
});
