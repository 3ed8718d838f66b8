/** Cloudflare's own models, through the binding `AI`: there is no HTTP to them from here. */
import { z } from 'zod';
import { delivered, type Field, formOf, ignoredFields, placed } from './direct';
import { lost, notSent } from './failures';
import { readJson, warningsOf, withOptions } from './jobs';
import { defineProvider, type Provider, type ProviderDeps, type ProviderJob } from './provider';
import { failureFrom } from './workers-ai-errors';
import { placesFor } from './workers-ai-models';

const NAME = 'workers-ai';

/** The part of the binding that is used. */
export interface AiBinding {
  run(
    model: string,
    inputs: Readonly<Record<string, unknown>>,
    options: { readonly signal: AbortSignal },
  ): Promise<unknown>;
}

export interface WorkersAiConfig {
  readonly ai: AiBinding;
}

const isBinding = (value: unknown): value is AiBinding =>
  typeof value === 'object' && value !== null && 'run' in value && typeof value.run === 'function';

export const workersAi = defineProvider({
  name: NAME,
  settings: z
    .object({
      AI: z.custom<AiBinding>(isBinding, { error: 'must be a Workers AI binding' }).optional(),
    })
    .transform(({ AI: ai }): WorkersAiConfig | null => (ai ? { ai } : null)),
  missing: 'the AI binding is not configured',
  create: createWorkersAiProvider,
});

/** Names that have a field of the request, or change how the binding answers. */
const RESERVED = new Set([
  'prompt',
  'negative_prompt',
  'width',
  'height',
  'steps',
  'num_steps',
  'guidance',
  'seed',
  'image',
  'image_b64',
  'mask',
  'strength',
  'input_image_0',
  'multipart',
  'requests',
  'stream',
]);

export function createWorkersAiProvider(
  { ai }: WorkersAiConfig,
  deps: Pick<ProviderDeps, 'openImage'>,
): Provider {
  return {
    name: NAME,
    async generate(job, context) {
      const { signal } = context;
      if (signal.aborted) return notSent({ provider: NAME, isAborted: true });
      const { inputs, warnings } = ask(job);
      const end = () =>
        lost({ provider: NAME, isAborted: signal.aborted, providerRequestId: null });
      let output: unknown;
      try {
        output = await unlessAborted(ai.run(job.model, inputs, { signal }), signal);
      } catch (error) {
        return signal.aborted ? end() : failureFrom(error, job);
      }
      const pictures = await unlessAborted(picturesIn(output), signal).catch(() => null);
      if (pictures === null) return end();
      return delivered({
        provider: NAME,
        pictures: pictures.map((source) => ({ source, seed: null })),
        openUrl: deps.openImage,
        providerRequestId: null,
        warnings,
      });
    },
  };
}

function ask(job: ProviderJob) {
  const { texts, files, isForm, format } = placesFor(job);
  const { body, ignored: options } = withOptions(
    { prompt: job.prompt, ...placed(texts) },
    { options: job.options, reserved: RESERVED },
  );
  const met: Field[] = job.outputFormat === format ? ['output_format'] : [];
  const fields = ignoredFields(job, [...texts, ...files], met);
  return {
    inputs: isForm ? multipart(formOf(body, placed(files))) : body,
    warnings: warningsOf(NAME, { fields, options }),
  };
}

/** Only a response tells the boundary that a form is written with. */
function multipart(form: FormData) {
  const { body, headers } = new Response(form);
  return { multipart: { body, contentType: headers.get('content-type') } };
}

/** The binding may be slow to heed its signal, or not do so. */
function unlessAborted<T>(result: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = new Promise<never>((_resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
  return Promise.race([result, aborted]);
}

const imageObject = z.object({ image: z.union([z.string(), z.instanceof(Uint8Array)]) });

/** Every model answers in one of these shapes; which one is written in its schema only. */
async function picturesIn(output: unknown): Promise<(string | Uint8Array)[]> {
  if (typeof output === 'string' || output instanceof Uint8Array) return [output];
  if (output instanceof ArrayBuffer) return [new Uint8Array(output)];
  if (output instanceof ReadableStream) return picturesIn(new Response(output));
  if (output instanceof Response) {
    const isJson = output.headers.get('content-type')?.startsWith('application/json');
    if (!isJson) return [new Uint8Array(await output.arrayBuffer())];
    return picturesIn(readJson(await output.text(), imageObject));
  }
  const object = imageObject.safeParse(output);
  return object.success ? [object.data.image] : [];
}
