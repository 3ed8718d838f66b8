import { describe, expect, it } from 'vitest';
import { createDeadline, drain } from '../../src/platform/bounds';

/** Chunks of ten bytes. */
function source(chunks: number, { ends = true } = {}) {
  let given = 0;
  let isCancelled = false;
  const stream = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (given < chunks) {
          given += 1;
          controller.enqueue(new Uint8Array(10));
        } else if (ends) controller.close();
        else await new Promise(() => {});
      },
      cancel() {
        isCancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, given: () => given, isCancelled: () => isCancelled };
}

const within = (maxBytes: number, ms = 60_000) => ({ maxBytes, deadline: createDeadline(ms) });

describe('what is left of a stream', () => {
  it('is taken in to its end', async () => {
    const { stream, given } = source(5);
    await drain(stream, within(1_000));
    expect(given()).toBe(5);
  });

  it('is taken in as far as the bound, and cancelled', async () => {
    const { stream, given, isCancelled } = source(Number.POSITIVE_INFINITY);
    await drain(stream, within(100));
    expect([given(), isCancelled()]).toEqual([11, true]);
  });

  it('is waited for no longer than the deadline', async () => {
    const { stream, given } = source(1, { ends: false });
    await drain(stream, within(1_000, 1));
    expect(given()).toBe(1);
  });

  it('is not taken from who reads it', async () => {
    const { stream } = source(1);
    const reader = stream.getReader();
    await drain(stream, within(1_000));
    expect((await reader.read()).value).toHaveLength(10);
  });
});
