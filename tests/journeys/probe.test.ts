import { env, exports } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import { faults, sent } from '../support/worker';

it('shares one isolate', async () => {
  const a = await exports.default.fetch('https://foreman.test/ready');
  expect([a.status, await a.json()]).toEqual([200, { checks: { d1: 'ok', r2: 'ok', foreman: 'ok' }, status: 'ready' }]);
  faults.d1 = 'fail';
  const b = await exports.default.fetch('https://foreman.test/ready');
  expect([b.status, await b.json()]).toEqual([503, { checks: { d1: 'failed', r2: 'ok', foreman: 'ok' }, status: 'degraded' }]);
  faults.d1 = null;
  console.log(sent, Object.keys(env));
});
