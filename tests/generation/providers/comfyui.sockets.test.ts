// The whole way of a job over real sockets, for every behaviour of the fake. The fake checks each
// workflow as the real server does.
import { beforeEach, describe, expect, inject, it } from 'vitest';
import { createComfyUiProvider } from '../../../src/generation/providers/comfyui';
import type {
  JobAccepted,
  PollAnswer,
  ProviderAnswer,
  ProviderJob,
} from '../../../src/generation/providers/provider';
import { inspectImage } from '../../../src/images/inspect';
import type { ComfyUiBehaviour } from '../../support/fakes/comfyui';
import { contextWith, jobWith, pollContextWith } from '../../support/provider-jobs';

const origin = inject('fakes').comfyui;

interface Control {
  calls: { method: string; path: string; headers: Record<string, string>; body: string }[];
  facts: Record<'jobs' | 'files' | 'deleted' | 'interrupted' | 'interruptedOthers', number>;
}

async function control(body?: object): Promise<Control> {
  const init = body && { method: 'POST', body: JSON.stringify(body) };
  return (await fetch(`${origin}/control`, init)).json<Control>();
}

const providerAt = (baseUrl: string) =>
  createComfyUiProvider(
    { apiKey: null, baseUrl, allowsWorkflows: true },
    { fetch: (input, init) => fetch(input, init), now: Date.now },
  );

const provider = providerAt(origin);

const model = 'sd_xl_base_1.0.safetensors';
const picture = { bytes: new Uint8Array([1, 2, 3]), mediaType: 'image/png' };
const mask = { bytes: new Uint8Array([4, 5, 6]), mediaType: 'image/png' };

async function generate(
  behaviour: ComfyUiBehaviour,
  job: Partial<ProviderJob> = {},
): Promise<ProviderAnswer> {
  await control({ behaviour });
  return provider.generate(jobWith({ model, seed: 7, ...job }), contextWith());
}

async function accepted(
  behaviour: ComfyUiBehaviour,
  job: Partial<ProviderJob> = {},
): Promise<JobAccepted> {
  const answer = await generate(behaviour, job);
  if (answer.outcome !== 'accepted') throw new Error(JSON.stringify(answer));
  return answer;
}

async function poll({ handle }: JobAccepted): Promise<PollAnswer> {
  const answer = await provider.jobs?.poll(handle, pollContextWith());
  if (!answer) throw new Error('no jobs');
  return answer;
}

const cancel = ({ handle }: JobAccepted) => provider.jobs?.cancel(handle, pollContextWith());

async function imagesOf(answer: PollAnswer) {
  if (answer.outcome !== 'succeeded') throw new Error(JSON.stringify(answer));
  return Promise.all(
    answer.images.map(async (image) => {
      if (!('open' in image)) throw new Error('no image to open');
      const { body, length } = await image.open(new AbortController().signal);
      const bytes = new Uint8Array(await new Response(body).arrayBuffer());
      expect([null, bytes.byteLength]).toContain(length);
      return { ...inspectImage(bytes), seed: image.seed };
    }),
  );
}

const anImage = { ok: true, mediaType: 'image/png', width: 64, height: 64, seed: 7 };

beforeEach(async () => {
  await control({ reset: true });
});

describe('over a real socket', () => {
  const workflows: [name: string, job: Partial<ProviderJob>, images: number, files: number][] = [
    ['from text', {}, 1, 0],
    ['three from text', { n: 3, size: { width: 512, height: 512 } }, 3, 0],
    ['from an image', { image: picture, strength: 0.4 }, 1, 1],
    [
      'two from an image of another size',
      { image: picture, n: 2, size: { width: 8, height: 8 } },
      2,
      1,
    ],
    ['under a mask', { image: picture, mask }, 1, 2],
    ['three under a mask', { image: picture, mask, n: 3, size: { width: 8, height: 8 } }, 3, 2],
    ['with the same picture as image and mask', { image: picture, mask: picture }, 1, 1],
  ];
  it.each(workflows)('the built-in workflow is valid: %s', async (_name, job, count, files) => {
    const images = await imagesOf(await poll(await accepted('ok', job)));
    expect(images).toEqual(Array.from({ length: count }, () => anImage));
    expect((await control()).facts).toMatchObject({ jobs: 1, files });
  });

  it("the client's own workflow is filled in and run", async () => {
    const workflow = {
      a: { class_type: 'LoadImage', inputs: { image: '{{image}}' } },
      b: { class_type: 'SaveImage', inputs: { images: ['a', 0], filename_prefix: '{{prompt}}' } },
    };
    const job = { image: picture, options: { workflow } };
    expect(await imagesOf(await poll(await accepted('ok', job)))).toEqual([
      { ...anImage, seed: null },
    ]);
  });

  it('a job is told with its place in the queue, then as running, then with its images', async () => {
    const job = await accepted('slow');
    const seen = [];
    for (let looks = 1; looks <= 5; looks += 1) seen.push(await poll(job));
    expect(seen).toMatchObject([
      { outcome: 'pending', queuePosition: 2, isQueued: true },
      { outcome: 'pending', queuePosition: 2, isQueued: true },
      { outcome: 'pending', queuePosition: null, isQueued: false },
      { outcome: 'pending', queuePosition: null, isQueued: false },
      { outcome: 'succeeded', costMicros: 0 },
    ]);
  });

  const delivered: ComfyUiBehaviour[] = ['with-previews', 'partly-valid', 'own-id'];
  it.each(delivered)('%s brings what was saved, and nothing else', async (behaviour) => {
    expect(await imagesOf(await poll(await accepted(behaviour)))).toEqual([anImage]);
  });

  const lookedUp: ComfyUiBehaviour[] = ['reset-after-body', 'malformed-json'];
  it.each(lookedUp)('%s loses the answer, and the job is found by its id', async (behaviour) => {
    const job = await accepted(behaviour);
    expect(await imagesOf(await poll(job))).toEqual([anImage]);
    expect((await control()).facts).toMatchObject({ jobs: 1 });
  });

  it('a submission that hangs ends with its signal, and the job is found by its id', async () => {
    await control({ behaviour: 'hang' });
    const context = contextWith({ signal: AbortSignal.timeout(300) });
    const answer = await provider.generate(jobWith({ model, seed: 7 }), context);
    if (answer.outcome !== 'accepted') throw new Error(JSON.stringify(answer));
    expect(await imagesOf(await poll(answer))).toEqual([anImage]);
  });

  const ends: [behaviour: ComfyUiBehaviour, expected: object][] = [
    [
      'execution-error',
      {
        outcome: 'failed',
        error: {
          code: 'execution_error',
          message: 'KSampler: torch.OutOfMemoryError: Allocation on device',
        },
        possiblyBilled: false,
      },
    ],
    ['interrupted', { outcome: 'failed', error: { code: 'execution_interrupted' } }],
    ['previews-only', { outcome: 'failed', error: { code: 'invalid_output' } }],
    ['forgotten', { outcome: 'missing' }],
    ['queue-500', { outcome: 'unreachable' }],
  ];
  it.each(ends)('%s is told by the poll', async (behaviour, expected) => {
    expect(await poll(await accepted(behaviour))).toMatchObject(expected);
  });

  it('an image that is not there cannot be opened', async () => {
    const answer = await poll(await accepted('view-404'));
    await expect(imagesOf(answer)).rejects.toThrow('comfyui answered with status 404 for an image');
  });

  const refusals: [behaviour: ComfyUiBehaviour, job: Partial<ProviderJob>, expected: object][] = [
    ['unauthorized', {}, { outcome: 'rejected', error: { details: { kind: 'auth' } } }],
    ['server-error', {}, { outcome: 'failed', possiblyBilled: false }],
    [
      'ok',
      { model: 'unknown.safetensors' },
      {
        outcome: 'rejected',
        error: {
          code: 'value_not_in_list',
          message: expect.stringContaining("ckpt_name: 'unknown.safetensors' not in"),
          details: { kind: 'parameter' },
        },
      },
    ],
    [
      'ok',
      { options: { workflow: { a: { class_type: 'PreviewVideo', inputs: {} } } } },
      { outcome: 'rejected', error: { code: 'missing_node_type' } },
    ],
    ['upload-refused', { image: picture }, { outcome: 'rejected' }],
    ['upload-reset', { image: picture }, { outcome: 'not_sent', possiblyBilled: false }],
  ];
  it.each(refusals)('%s ends the submission of %o', async (behaviour, job, expected) => {
    expect(await generate(behaviour, job)).toMatchObject(expected);
    expect((await control()).facts).toMatchObject({ jobs: 0 });
  });

  it('a refused port means that nothing was sent', async () => {
    const answer = await providerAt('http://127.0.0.1:1').generate(jobWith(), contextWith());
    expect(answer).toMatchObject({ outcome: 'not_sent', possiblyBilled: false });
  });
});

describe('a cancel', () => {
  it('takes a waiting job out of the queue and leaves the running one alone', async () => {
    const job = await accepted('waiting');
    expect(await cancel(job)).toBe('gone');
    expect((await control()).facts).toMatchObject({
      deleted: 1,
      interrupted: 0,
      interruptedOthers: 0,
    });
    expect(await poll(job)).toEqual({ outcome: 'missing' });
  });

  it('interrupts a job that runs', async () => {
    const job = await accepted('running');
    expect(await cancel(job)).toBe('gone');
    expect((await control()).facts).toMatchObject({ interrupted: 1, interruptedOthers: 0 });
    expect(await poll(job)).toMatchObject({ error: { code: 'execution_interrupted' } });
  });

  const quiet: ComfyUiBehaviour[] = ['ok', 'forgotten'];
  it.each(quiet)(
    'of a job that is %s is gone, twice over, and interrupts nobody',
    async (behaviour) => {
      const job = await accepted(behaviour);
      expect([await cancel(job), await cancel(job)]).toEqual(['gone', 'gone']);
      const { calls } = await control();
      expect(calls.filter(({ path }) => path === '/interrupt')).toEqual([]);
    },
  );

  it('that the server does not answer is unreachable', async () => {
    const job = await accepted('running');
    await control({ behaviour: 'unauthorized' });
    expect(await cancel(job)).toBe('unreachable');
  });
});
