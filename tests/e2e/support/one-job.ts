/** What a request must look like that became one job, paid for once, whatever happened meanwhile. */
import { expect } from 'vitest';
import type { Api, RequestView } from './api.ts';
import { callsOf, type FakedProvider } from './job-providers.ts';

/** `correlationId`: of the request, which is the only one that has become an image. */
export function expectOneJob(
  provider: FakedProvider,
  of: { readonly request: RequestView; readonly correlationId: string },
): void {
  const { fake, name, model, costUsd, isSubmission, isImage, jobIn } = provider;
  const { request, correlationId } = of;
  const calls = callsOf(provider, correlationId);
  const asked = new Set(calls.map(jobIn).filter((job) => job !== null));
  expect(calls.filter(isSubmission)).toHaveLength(1);
  expect(fake.calls.filter(isImage)).toHaveLength(1);
  expect(asked.size).toBe(1);
  expect(request).toMatchObject({ status: 'succeeded', error: null, cost_usd: costUsd });
  expect(request.attempts).toMatchObject([
    {
      outcome: 'succeeded',
      provider: name,
      model,
      provider_request_id: [...asked][0],
      cost_usd: costUsd,
      possibly_billed: false,
    },
  ]);
}

export async function expectOnePng(api: Api, { images }: RequestView): Promise<void> {
  expect(images).toHaveLength(1);
  const { url, bytes, width, height } = images[0] ?? expect.fail('no image');
  const content = await api.fetch(url);
  const png = Buffer.from(await content.arrayBuffer());
  expect([content.status, content.headers.get('content-type')]).toEqual([200, 'image/png']);
  expect(png.toString('latin1', 1, 4)).toBe('PNG');
  expect([png.byteLength, png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([
    bytes,
    width,
    height,
  ]);
}
