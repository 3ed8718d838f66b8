import { describe, expect, it } from 'vitest';
import { createPreviewSender } from '../../src/generation/previews';
import { MAX_PREVIEW_BYTES } from '../../src/requests/types';

const previewOf = (index: number, bytes: Uint8Array = new Uint8Array([index])) => ({
  index,
  mediaType: 'image/png',
  bytes,
});

/** A sender whose sends wait until they are let go, or made to fail. */
function sender() {
  const begun: { index: number; end: PromiseWithResolvers<void> }[] = [];
  const failures: unknown[] = [];
  const show = createPreviewSender({
    send: ({ index }) => {
      const end = Promise.withResolvers<void>();
      begun.push({ index, end });
      return end.promise;
    },
    onFailure: (error) => failures.push(error),
  });
  return {
    show(...indexes: number[]) {
      for (const index of indexes) show(previewOf(index));
    },
    showBytes: (bytes: Uint8Array) => show(previewOf(0, bytes)),
    begun: () => begun.map(({ index }) => index),
    failures,
    /** How the last send that has begun ends; resolves when what follows has begun. */
    async end(error?: Error) {
      const last = begun.at(-1)?.end;
      if (error) last?.reject(error);
      else last?.resolve();
      await new Promise((resolve) => setTimeout(resolve, 0));
    },
  };
}

describe('previews on their way to the foreman', () => {
  it('go one after the other, in their order', async () => {
    const { show, begun, end } = sender();
    show(0);
    await end();
    show(1);
    await end();
    show(2);
    expect(begun()).toEqual([0, 1, 2]);
  });

  it('that come faster than they go make room for the newest', async () => {
    const { show, begun, end } = sender();
    show(0, 1, 2);
    expect(begun()).toEqual([0]);
    await end();
    expect(begun()).toEqual([0, 2]);
    await end();
    expect(begun()).toEqual([0, 2]);
  });

  it('may fail: the first failure is told, and the next preview goes all the same', async () => {
    const { show, begun, failures, end } = sender();
    show(0, 1);
    await end(new Error('first'));
    show(2);
    await end(new Error('second'));
    expect(begun()).toEqual([0, 1, 2]);
    expect(failures).toEqual([new Error('first')]);
  });

  it('stay where they are when they are larger than anybody is shown', () => {
    const { showBytes, begun } = sender();
    showBytes(new Uint8Array(MAX_PREVIEW_BYTES + 1));
    expect(begun()).toEqual([]);
    showBytes(new Uint8Array(MAX_PREVIEW_BYTES));
    expect(begun()).toEqual([0]);
  });
});
