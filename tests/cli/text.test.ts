import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPaint } from '../../src/cli/paint';
import { type Column, renderFields, renderTable } from '../../src/cli/table';
import {
  bytesText,
  counted,
  cut,
  jsonText,
  padded,
  plain,
  usdText,
  widthOf,
} from '../../src/cli/text';
import { durationText, relativeText } from '../../src/cli/times';

const HOUR = 3_600_000;
const none = createPaint(false);

describe('text for a terminal', () => {
  it('obeys nobody: what begins an escape sequence is gone, and lines are one', () => {
    expect(plain('a\u001b[31mred\u0007\r\nb\u009b2J')).toBe('a [31mred b 2J');
    expect(plain('a\u202egnp.exe\u2028b')).toBe('a gnp.exe b');
    const document = { of: 'a\u009b2J\u007f' };
    expect(jsonText(document)).not.toMatch(/\p{Cc}/u);
    expect(JSON.parse(jsonText(document))).toEqual(document);
    fc.assert(
      fc.property(fc.array(fc.nat(0x2ff)), (codes) => {
        expect(plain(String.fromCodePoint(...codes))).not.toMatch(/\p{Cc}/u);
      }),
    );
  });

  it.each([
    ['boat', 4],
    ['日本', 4],
    ['🚢', 2],
    ['✅', 2],
    ['e\u0301', 1],
    ['', 0],
  ])('%s takes %i columns', (text, width) => {
    expect(widthOf(text)).toBe(width);
  });

  it('is cut to what fits, and an ellipsis says so', () => {
    expect([cut('harbour', 7), cut('harbour', 4), cut('日本語', 4), cut('a', 0)]).toEqual([
      'harbour',
      'har…',
      '日…',
      '',
    ]);
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.nat(30), (text, width) => {
        expect(widthOf(cut(text, width))).toBeLessThanOrEqual(width);
        expect(widthOf(padded(cut(text, width), width))).toBe(width);
      }),
    );
  });

  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1_234, '1.2 kB'],
    [123_456, '123 kB'],
    [1_400_000, '1.4 MB'],
  ])('%i bytes are %s', (bytes, text) => {
    expect(bytesText(bytes)).toBe(text);
  });

  it.each([
    [0, '$0'],
    [0.003, '$0.0030'],
    [0.167, '$0.17'],
    [12, '$12.00'],
  ])('%d dollars are %s', (usd, text) => {
    expect(usdText(usd)).toBe(text);
  });

  it('counts', () => {
    expect([counted(1, 'image'), counted(2, 'image')]).toEqual(['1 image', '2 images']);
  });
});

describe('times for people', () => {
  it.each([
    [0, '0.0 s'],
    [3_240, '3.2 s'],
    [48_900, '48 s'],
    [5 * 60_000, '5 min'],
    [6 * HOUR, '6 h'],
    [12 * 24 * HOUR, '12 d'],
    [-5, '0.0 s'],
  ])('%i ms last %s', (ms, text) => {
    expect(durationText(ms)).toBe(text);
  });

  it.each([
    [null, '–'],
    ['2026-01-01T00:00:00.500Z', 'now'],
    ['2025-12-31T23:59:57.900Z', '2 s ago'],
    ['2025-12-31T23:00:00Z', '60 min ago'],
    ['2026-01-01T06:00:00Z', 'in 6 h'],
  ])('%s is %s', (time, text) => {
    expect(relativeText(time, Date.parse('2026-01-01T00:00:00Z'))).toBe(text);
  });
});

describe('a table', () => {
  interface Row {
    readonly id: string;
    readonly prompt: string;
  }
  const columns: Column<Row>[] = [
    { title: 'ID', text: ({ id }) => id },
    { title: 'PROMPT', text: ({ prompt }) => prompt, isElastic: true },
  ];
  const rows = [
    { id: 'req_1', prompt: 'a boat in the harbour at night' },
    { id: 'req_22', prompt: 'a\nred\tsun' },
  ];

  it('aligns its columns', () => {
    expect(renderTable(rows, columns, { width: 80, paint: none })).toBe(
      ['ID      PROMPT', 'req_1   a boat in the harbour at night', 'req_22  a red sun', ''].join(
        '\n',
      ),
    );
  });

  it('is no wider than the terminal, and never cuts an id', () => {
    const lines = renderTable(rows, columns, { width: 20, paint: none }).trimEnd().split('\n');
    expect(lines).toEqual(['ID      PROMPT', 'req_1   a boat in t…', 'req_22  a red sun']);
    const narrow = renderTable(rows, columns, { width: 5, paint: none });
    expect(narrow).toContain('req_22');
  });

  it('is as wide in colours as without', () => {
    const painted = columns.map((column) => ({ ...column, colour: () => 'red' as const }));
    const text = renderTable(rows, painted, { width: 20, paint: createPaint(true) });
    expect(text).toContain('\u001b[31m');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: it is what colours are made of
    const bare = text.replace(/\u001b\[\d+m/g, '').replace(/ +$/gm, '');
    expect(bare).toBe(renderTable(rows, columns, { width: 20, paint: none }));
  });
});

it('fields are whole, and those without a value are left out', () => {
  const link = `https://a.test/${'x'.repeat(200)}`;
  const text = renderFields(
    [
      ['id', 'req_1'],
      ['link', link],
      ['error', null],
      ['note', ''],
    ],
    none,
  );
  expect(text).toBe(`id    req_1\nlink  ${link}\n`);
});
