import { describe, expect, it } from 'vitest';
import { again, waitFor } from '../../src/cli/command-line';
import { UsageError } from '../../src/cli/fault';
import { fileNames, knownFileNames, misnamed } from '../../src/cli/file-names';
import {
  imageArgument,
  jsonObjectOption,
  listOption,
  numberOption,
  pairOption,
  submissionOf,
  wholeNumberOption,
} from '../../src/cli/submission';

describe('options as a submission', () => {
  it('have the names of the API, and leave out what was not said', () => {
    expect(submissionOf('a boat', {}, {})).toEqual({ prompt: 'a boat' });
    const options = {
      model: 'sketch',
      n: 2,
      width: 64,
      height: 128,
      aspectRatio: '1:1',
      seed: 0,
      steps: 4,
      guidanceScale: 1.5,
      negativePrompt: 'fog',
      format: 'jpg',
      style: 'ink',
      strength: 0,
      fallback: ['a', 'b'],
      fallbackOnRefusal: true,
      providerOptions: { openai: { quality: 'high' } },
      priority: 'high',
      maxCost: 0.5,
      onBudget: 'wait',
      deadline: 60,
      metadata: { k: 'v' },
    };
    expect(submissionOf('a boat', options, { image: 'img_1', mask: 'img_2' })).toEqual({
      prompt: 'a boat',
      model: 'sketch',
      n: 2,
      width: 64,
      height: 128,
      aspect_ratio: '1:1',
      seed: 0,
      steps: 4,
      guidance_scale: 1.5,
      negative_prompt: 'fog',
      output_format: 'jpeg',
      style: 'ink',
      image: 'img_1',
      mask: 'img_2',
      strength: 0,
      fallback_models: ['a', 'b'],
      fallback_on_refusal: true,
      provider_options: { openai: { quality: 'high' } },
      priority: 'high',
      max_cost_usd: 0.5,
      on_budget: 'wait',
      deadline_seconds: 60,
      metadata: { k: 'v' },
    });
  });

  it.each([
    ['https://a.test/b.png', 'reference'],
    ['data:image/png;base64,AA', 'reference'],
    ['img_001m800v81jmq87707477xw6agk_1_0', 'reference'],
    ['./img_1', 'file'],
    ['img_1.png', 'file'],
    ['boat.png', 'file'],
    ['C:\\boat.png', 'file'],
  ])('take %s for a %s', (text, kind) => {
    expect(imageArgument(text).kind).toBe(kind);
  });

  it('are read as what they are, or refused', () => {
    expect([numberOption('0.5'), numberOption('-1'), wholeNumberOption('12')]).toEqual([
      0.5, -1, 12,
    ]);
    expect(listOption('a, b', ['c'])).toEqual(['c', 'a', 'b']);
    expect(pairOption('k=v=w', { a: 'b' })).toEqual({ a: 'b', k: 'v=w' });
    expect(pairOption('__proto__=x')).toHaveProperty(['__proto__'], 'x');
    expect(jsonObjectOption('{"a":1}')).toEqual({ a: 1 });
    for (const wrong of [
      () => numberOption(''),
      () => numberOption('1e999'),
      () => wholeNumberOption('1.5'),
      () => wholeNumberOption('-1'),
      () => pairOption('=v'),
      () => pairOption('k'),
      () => jsonObjectOption('[]'),
      () => jsonObjectOption('{'),
    ]) {
      expect(wrong).toThrow(UsageError);
    }
  });
});

describe('the command that collects a result', () => {
  it('is the same with the key, quoted for a shell, and without secrets', () => {
    const words = ['--key', 'fm_x', 'generate', "it's a boat", '--n', '2', '--token=t'];
    expect(again(words, 'k-1')).toBe(
      `foreman generate 'it'\\''s a boat' --n 2 --idempotency-key k-1`,
    );
    expect(again(['generate', 'x', '--idempotency-key', 'old'], 'k-1')).toBe(
      'foreman generate x --idempotency-key k-1',
    );
    expect(again(['generate', '--', '-x'], 'k-1')).toBe(
      'foreman generate --idempotency-key k-1 -- -x',
    );
  });

  it('is only described when it is too long or no line', () => {
    const described = 'the same command with --idempotency-key k-1';
    expect(again(['generate', 'x'.repeat(2_000)], 'k-1')).toBe(described);
    expect(again(['generate', 'a\u001b[2J'], 'k-1')).toBe(described);
  });

  it('asks the server that was named', () => {
    expect(waitFor('req_1', ['list'])).toBe('foreman get req_1 --wait');
    expect(waitFor('req_1', ['--url', 'http://a.test', 'x'])).toBe(
      'foreman get req_1 --wait --url http://a.test',
    );
    expect(waitFor('req_1', ['--url=http://a.test'])).toBe(
      'foreman get req_1 --wait --url=http://a.test',
    );
  });
});

describe('the names of files', () => {
  const png = { id: 'img_1', media_type: 'image/png' };
  const webp = { id: 'img_2', media_type: 'image/webp' };

  it.each([
    ['boat.png', false, [png], ['boat.png']],
    ['boat', false, [webp], ['boat.webp']],
    ['boat.png', false, [png, png], ['boat-1.png', 'boat-2.png']],
    ['boat', false, [png, webp], ['boat-1.png', 'boat-2.webp']],
    ['a.b/boat', false, [png], ['a.b/boat.png']],
    ['pictures', true, [png, webp], ['pictures/img_1.png', 'pictures/img_2.webp']],
    ['pictures/', false, [png], ['pictures/img_1.png']],
    ['pictures', true, [{ ...png, id: '../../.profile\0' }], ['pictures/_______profile_.png']],
  ])('for %s (a directory: %s)', (out, isDirectory, images, names) => {
    expect(fileNames({ out, isDirectory }, images)).toEqual(names);
  });

  it('are known beforehand where no media type has a say', () => {
    const target = { isDirectory: false };
    expect(knownFileNames({ ...target, out: 'boat.png' }, 2)).toEqual(['boat-1.png', 'boat-2.png']);
    expect(knownFileNames({ ...target, out: 'boat' }, 2)).toEqual([]);
    expect(knownFileNames({ isDirectory: true, out: 'boat.d' }, 1)).toEqual([]);
  });

  it('that say something else than the bytes are told of', () => {
    expect(misnamed('a.jpeg', 'image/jpeg')).toBeNull();
    expect(misnamed('a.bin', 'image/png')).toBeNull();
    expect(misnamed('a.jpg', 'image/png')).toMatch(/a\.jpg holds image\/png/);
  });
});
