import { expect, it } from 'vitest';
import { freePort } from '../../scripts/local/ports.ts';
import { startFakeOpenAi } from '../support/fake-openai.ts';
import { startServer } from './support/server.ts';
it('refused', async () => {
  const port = await freePort();
  const server = await startServer({ OPENAI_API_KEY: 'x', OPENAI_BASE_URL: `http://127.0.0.1:${port}/v1` });
  const user = await server.createUser();
  const _go = async (label: string) => {
    const tally: Record<string, number> = {};
    for (let i = 0; i < 20; i += 1) {
      const r = await user.api.ended((await user.api.submit({ model: 'gpt-image-1', prompt: 'x', max_attempts: 1 })).id);
      const a = r.attempts[0];
      const k = `${a?.outcome} ${a?.error?.code} ${i === 0 ? 'first' : ''}`;
      tally[k] = (tally[k] ?? 0) + 1;
    }
    console.log(label, tally);
  };
  const tally: Record<string, number> = {};
  for (let i = 0; i < 15; i += 1) {
    const fake = await startFakeOpenAi({ port });
    const send = async () => user.api.ended((await user.api.submit({ model: 'gpt-image-1', prompt: 'x', max_attempts: 1 })).id);
    await Promise.all([send(), send(), send()]);
    await fake.close();
    for (let n = 0; n < 3; n += 1) {
    const r = await send();
    const a = r.attempts[0];
    const k = `${n} ${a?.outcome} ${a?.error?.code}`;
    tally[k] = (tally[k] ?? 0) + 1;
    }
  }
  console.log('tally', tally);
  await server.close();
  expect(1).toBe(1);
});
