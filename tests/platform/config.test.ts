import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { readSettings } from '../../src/settings';

const local = { ...env, ENVIRONMENT: 'local' };
const production = {
  ...env,
  ENVIRONMENT: 'production',
  ALLOW_LOCAL_URLS: 'false',
  DETACH_CALLS: 'false',
};

describe('settings', () => {
  it('are read from the environment, with lengths of time in milliseconds', () => {
    expect(readSettings(local).settings).toMatchObject({
      environment: 'local',
      requestHotMs: 86_400_000,
      imageRetentionMs: 30 * 86_400_000,
      providerTimeoutMs: 120_000,
    });
    expect(readSettings(production).settings.environment).toBe('production');
  });

  it.each([
    ['a short secret', { ADMIN_TOKEN: 'short' }, 'ADMIN_TOKEN'],
    ['a missing secret', { LINK_SIGNING_SECRET: undefined }, 'LINK_SIGNING_SECRET'],
    ['a flag that is none', { CHAOS_MODELS: 'yes' }, 'CHAOS_MODELS'],
    ['a number that is none', { PROVIDER_TIMEOUT_MS: 'abc' }, 'PROVIDER_TIMEOUT_MS'],
    ['a number out of range', { PROVIDER_TIMEOUT_MS: '240001' }, 'PROVIDER_TIMEOUT_MS'],
    ['a URL that is none', { PUBLIC_URL: 'foreman' }, 'PUBLIC_URL'],
    ['an origin that is none', { CORS_ORIGINS: 'https://a.example/' }, 'CORS_ORIGINS'],
    ['a policy that is none', { AUTO_POLICY: 'fastest' }, 'AUTO_POLICY'],
    ['a catalogue that is no JSON', { MODEL_CATALOG: '{models' }, 'MODEL_CATALOG'],
    [
      'a catalogue of a provider that is none',
      { MODEL_CATALOG: '{"models":[{"id":"m","targets":[{"provider":"nobody","model":"m"}]}]}' },
      'MODEL_CATALOG.models.0.targets.0.provider',
    ],
    ['the same secret twice', { KEY_SIGNING_SECRET: env.ADMIN_TOKEN }, 'KEY_SIGNING_SECRET'],
  ])('with %s are refused by name, without the value', (_, changes, name) => {
    const refusal = () => readSettings({ ...local, ...changes });
    expect(refusal).toThrow(name);
    const value = String(Object.values(changes)[0]);
    if (value.length > 6) expect(refusal).not.toThrow(value);
  });

  it.each([
    ['ALLOW_LOCAL_URLS', 'true'],
    ['DETACH_CALLS', 'true'],
    ['OPENAI_BASE_URL', 'http://openai.test/v1'],
  ])('of production refuse %s=%s', (name, value) => {
    expect(() => readSettings({ ...production, [name]: value })).toThrow(name);
  });

  it('name every fault at once', () => {
    const refusal = () => readSettings({ ...local, ADMIN_TOKEN: 'x', CHAOS_MODELS: 'x' });
    expect(refusal).toThrow(/ADMIN_TOKEN.*CHAOS_MODELS/s);
  });
});
