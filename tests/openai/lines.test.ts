import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ServedFacts } from '../../src/images/reader';
import type { ImageView } from '../../src/images/types';
import { type AnswerDeps, imagesBody } from '../../src/openai/answer';
import { base64Of } from '../../src/openai/base64';
import { failureOf } from '../../src/openai/errors';
import { imageEvents } from '../../src/openai/events';
import { type Ended, holdLine, isHeld, orAfter, stream } from '../../src/openai/lines';
import type { Wanted } from '../../src/openai/translate';
import { MAX_PREVIEW_BYTES, type Preview } from '../../src/requests/types';
import { createPresentRequest } from '../../src/requests/view';
import { queued } from '../support/states';

const images: Ended = {
  outcome: 'images',
  text: (async function* () {
    yield '{"created"';
    yield ':1}';
  })(),
};
const failure: Ended = {
  outcome: 'failure',
  failure: failureOf({ code: 'unavailable', message: 'away', details: {} }),
};

const streamOf = (chunks: readonly Uint8Array[]) =>
  new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });

const STAYING = { stallMs: 60_000, onLeft: () => {} };
const PATIENT = { commitAfterMs: 60_000, beatMs: 60_000, ...STAYING };
const SHORT = { commitAfterMs: 0, beatMs: 1, ...STAYING };

const wanted: Wanted = {
  endpoint: 'generations',
  format: 'b64_json',
  isStreamed: false,
  partialImages: 0,
  size: 'auto',
  options: {},
  warnings: [],
};

describe('a line', () => {
  it('that is answered early has the true status', async () => {
    const response = await holdLine(Promise.resolve(failure), PATIENT);
    expect([response.status, await response.json()]).toMatchObject([
      503,
      { error: { message: 'away' } },
    ]);
  });

  it('that is answered late is kept alive by white space, which JSON may begin with', async () => {
    const end = Promise.withResolvers<Ended>();
    const response = await holdLine(end.promise, SHORT);
    expect(response.status).toBe(200);
    const reader = response.body?.getReader() ?? expect.fail('no body');
    for (let beats = 0; beats < 3; beats += 1) {
      expect(new TextDecoder().decode((await reader.read()).value)).toBe(' ');
    }
    end.resolve(images);
    let rest = '';
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      rest += new TextDecoder().decode(part.value);
    }
    expect(JSON.parse(rest)).toEqual({ created: 1 });
  });

  it('that fails late is broken off behind the error', async () => {
    const end = Promise.withResolvers<Ended>();
    const response = await holdLine(end.promise, SHORT);
    const reader = response.body?.getReader() ?? expect.fail('no body');
    end.resolve(failure);
    const read = async () => new TextDecoder().decode((await reader.read()).value);
    let said = await read();
    while (said.trim() === '') said += await read();
    expect(JSON.parse(said)).toMatchObject({ error: { code: 'unavailable' } });
    const breaking = expect(reader.read()).rejects.toThrow('broken off');
    // A line that breaks at once takes along what the runtime has not sent yet.
    expect(isHeld(await orAfter(50, breaking))).toBe(true);
    await breaking;
  });
});

describe('a client that takes no more', () => {
  async function* endless(onEnd: () => void) {
    try {
      for (;;) yield 'part';
    } finally {
      onEnd();
    }
  }

  it.each(['hangs up', 'reads nothing'])('and %s lets go of all that it held', async (how) => {
    const left = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    const stallMs = how === 'hangs up' ? 60_000 : 1;
    const { body } = stream(endless(ended.resolve), {}, { stallMs, onLeft: left.resolve });
    const reader = body?.getReader() ?? expect.fail('no body');
    await reader.read();
    if (how === 'hangs up') await reader.cancel();
    await Promise.all([left.promise, ended.promise]);
    if (how === 'reads nothing') await expect(reader.read()).rejects.toThrow('takes nothing');
  });

  it('is shown the newest previews of those that it had no time for', async () => {
    const preview = (index: number, size: number): Preview => ({
      ...{ attempt: 1, index, mediaType: 'image/png', bytes: new Uint8Array(size).fill(index) },
    });
    const awaitEnd = async (onPreview: (preview: Preview) => void): Promise<Ended> => {
      onPreview(preview(0, MAX_PREVIEW_BYTES - 3));
      onPreview(preview(1, 5));
      onPreview(preview(2, 5));
      return images;
    };
    const streamed = { ...wanted, isStreamed: true, partialImages: 3 };
    const text = await imageEvents({ wanted: streamed, awaitEnd, now: () => 1 }, SHORT).text();
    const data = [...text.matchAll(/^data: (.*)$/gm)].map(([, json = '']) => JSON.parse(json));
    expect(data).toMatchObject([
      { partial_image_index: 1, b64_json: 'AQEBAQE=' },
      { partial_image_index: 2, b64_json: 'AgICAgI=' },
    ]);
  });
});

describe('an answer with many large images', () => {
  const CHUNK = 65_536;
  const IMAGE = 32 * CHUNK;

  it('reads no further ahead of its client than a chunk', async () => {
    const state = queued();
    let given = 0;
    const open = async () => {
      const start = given;
      const body = new ReadableStream<Uint8Array>(
        {
          pull(controller) {
            if (given - start === IMAGE) return controller.close();
            given += CHUNK;
            controller.enqueue(new Uint8Array(CHUNK));
          },
        },
        { highWaterMark: 0 },
      );
      return { answer: 'whole' as const, facts: {} as ServedFacts, body };
    };
    const images = Array.from(
      { length: 8 },
      (_, index) => ({ id: `img_${index}`, media_type: 'image/png' }) as ImageView,
    );
    const deps: AnswerDeps = {
      images: { open, describe: () => expect.fail('not asked for') },
      present: createPresentRequest(() => ({ images })),
      now: Date.now,
    };
    const asked = { state, viewer: state.userId, wanted };
    const response = stream(imagesBody(asked, deps), {}, STAYING);
    let taken = 0;
    let most = 0;
    for await (const part of response.body ?? []) {
      taken += (part.byteLength * 3) / 4;
      most = Math.max(most, given - taken);
    }
    expect(given).toBe(8 * IMAGE);
    expect(most).toBeLessThan(3 * CHUNK);
  });
});

describe('an image as base64', () => {
  it('is the same however its bytes come', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 20 })), async (chunks) => {
        let text = '';
        for await (const part of base64Of(streamOf(chunks))) text += part;
        expect(text).toBe(Buffer.concat(chunks).toString('base64'));
      }),
    );
  });
});
