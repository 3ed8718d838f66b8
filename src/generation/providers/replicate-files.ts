/** Input images on their way to Replicate: small ones in the call itself, larger ones as files. */
import { z } from 'zod';
import { notSent } from './failures';
import { call, confidentialOf, dataUrlOf, isSuccess, jobFailed, readJson } from './jobs';
import type { InputUrls } from './named-inputs';
import type { CallContext, InputImage, ProviderFailure, ProviderJob } from './provider';
import { failedCall, headersOf, type ReplicateApi } from './replicate-api';

/** Larger inputs are to be given by URL. */
const MAX_INLINE_BYTES = 256 * 1024;

const fileSchema = z.object({ urls: z.object({ get: z.url({ protocol: /^https?$/ }) }) });

interface Sending {
  readonly job: ProviderJob;
  readonly context: CallContext;
}

type Located = { readonly url: string | null } | ProviderFailure;

export async function locateInputs(
  api: ReplicateApi,
  sending: Sending,
): Promise<InputUrls | ProviderFailure> {
  const [image, mask] = await Promise.all([
    locate(api, sending.job.image, sending),
    locate(api, sending.job.mask, sending),
  ]);
  if ('outcome' in image) return image;
  if ('outcome' in mask) return mask;
  return { image: image.url, mask: mask.url };
}

async function locate(
  api: ReplicateApi,
  input: InputImage | null,
  sending: Sending,
): Promise<Located> {
  if (!input) return { url: null };
  if (input.bytes.byteLength <= MAX_INLINE_BYTES) return { url: dataUrlOf(input) };
  return upload(api, input, sending);
}

/** An upload costs nothing and starts nothing, so no end of it leaves the attempt open. */
async function upload(
  api: ReplicateApi,
  { bytes, mediaType }: InputImage,
  { job, context }: Sending,
): Promise<Located> {
  const { signal } = context;
  const form = new FormData();
  form.append('content', new Blob([bytes], { type: mediaType }), 'input');
  const reply = await call(api.wire, {
    method: 'POST',
    url: `${api.baseUrl}/files`,
    headers: headersOf(api, context),
    body: form,
    signal,
  });
  const neverAsked = () => notSent({ provider: 'replicate', isAborted: signal.aborted });
  if (!reply.arrived) return neverAsked();
  if (!isSuccess(reply.answer)) {
    const failure = failedCall(api, job, reply);
    return failure.outcome === 'unknown' ? neverAsked() : failure;
  }
  const file = readJson(reply.body, fileSchema);
  if (file) return { url: file.urls.get };
  return jobFailed({
    provider: 'replicate',
    code: 'upload_failed',
    message: 'replicate took the input image and did not say where it is',
    confidential: confidentialOf(api.apiKey, job),
    providerRequestId: null,
    possiblyBilled: false,
  });
}
