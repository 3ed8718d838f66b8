import { describe, expect, it } from 'vitest';
import { createForms } from '../../src/openai/form';

const TYPE = 'multipart/form-data; boundary=edge';
const part = (name: string, value: string) =>
  `--edge\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
const END = '--edge--\r\n';

const from = (body: BodyInit, type = TYPE) => ({
  request: new Request('https://foreman.test/', {
    method: 'POST',
    headers: { 'content-type': type },
    body,
  }),
  hungUp: new AbortController().signal,
});

describe('a form', () => {
  it.each([1, 3, 7, 64])('is the same in chunks of %i bytes', async (size) => {
    const bytes = new TextEncoder().encode(part('prompt', 'a hat') + part('image[]', 'x') + END);
    const chunks = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let at = 0; at < bytes.length; at += size) {
          controller.enqueue(bytes.slice(at, at + size));
        }
        controller.close();
      },
    });
    const fields = await createForms().read(from(chunks), async (read) => read);
    expect(fields).toEqual({ prompt: 'a hat', image: 'x' });
  });

  it.each([TYPE, 'multipart/form-data; boundary="edge"'])(
    'of many parts is refused before they are read (%s)',
    async (type) => {
      const body = Array.from({ length: 60 }, (_, index) => part(`k${index}`, '')).join('') + END;
      const reading = createForms().read(from(body, type), async () => 'used');
      await expect(reading).rejects.toMatchObject({
        code: 'invalid_request',
        message: 'The form has more than 48 parts.',
      });
    },
  );

  it('finds no room beside others that are in use, and has it when they are not', async () => {
    const body = part('prompt', 'x'.repeat(600)) + END;
    const forms = createForms(1_000);
    const using = Promise.withResolvers<string>();
    const begun = Promise.withResolvers<void>();
    const first = forms.read(from(body), () => {
      begun.resolve();
      return using.promise;
    });
    await begun.promise;
    const refused = { code: 'unavailable', details: { retryAfterMs: 2_000 } };
    await expect(forms.read(from(body), async () => 'second')).rejects.toMatchObject(refused);
    using.reject(new Error('no picture'));
    await expect(first).rejects.toThrow('no picture');
    expect(await forms.read(from(body), async () => 'third')).toBe('third');
  });
});
