import fc from 'fast-check';
import { expect, it } from 'vitest';
import { dispositionOf } from '../../src/images/disposition';

const png = { id: 'img_0_1_0', mediaType: 'image/png' } as const;

it('shows an image under its own name, and saves it under that when no other is wished for', () => {
  expect(dispositionOf(png, null)).toBe('inline; filename="img_0_1_0.png"');
  expect(dispositionOf(png, '')).toBe('attachment; filename="img_0_1_0.png"');
});

it.each([
  ['sunset.png', 'filename="sunset.png"'],
  ['sunset', 'filename="sunset.png"'],
  ['A sunset.PNG', 'filename="A sunset.png"'],
  ['invoice.exe', 'filename="invoice.exe.png"'],
  ['page.html', 'filename="page.html.png"'],
  ['../../etc/passwd', 'filename="etc_passwd.png"'],
  ['C:\\temp\\a.png', 'filename="C_temp_a.png"'],
  ['a"; filename=b.exe', 'filename="a_ filename=b.exe.png"'],
  ['a\r\nset-cookie: b', 'filename="a_set-cookie_ b.png"'],
  ['.hidden', 'filename="hidden.png"'],
  ['...', 'filename="img_0_1_0.png"'],
  ['.png', 'filename="img_0_1_0.png"'],
  ['gnp.\u202eexe', 'filename="gnp._exe.png"'],
  ['Straße.png', `filename="Stra_e.png"; filename*=UTF-8''Stra%C3%9Fe.png`],
  ["Anna's (1)é", `filename="Anna's (1)_.png"; filename*=UTF-8''Anna%27s%20%281%29%C3%A9.png`],
  ['\ud800', `filename="_.png"; filename*=UTF-8''%EF%BF%BD.png`],
])('saves %j as an image', (wish, wanted) => {
  expect(dispositionOf(png, wish)).toBe(`attachment; ${wanted}`);
});

it('knows both extensions of a JPEG', () => {
  const jpeg = { ...png, mediaType: 'image/jpeg' } as const;
  expect(dispositionOf(jpeg, 'a.jpeg')).toBe('attachment; filename="a.jpeg"');
  expect(dispositionOf(jpeg, 'a')).toBe('attachment; filename="a.jpg"');
});

it('is a header of plain characters and bounded length, with one name and one encoded one, for any wish', () => {
  const grammar =
    /^attachment; filename="[\x20-\x21\x23-\x5b\x5d-\x7e]{1,80}\.png"(; filename\*=UTF-8''[\w!#$&+.^`|~%-]{1,800}\.png)?$/;
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 80 }), (wish) => {
      expect(dispositionOf(png, wish)).toMatch(grammar);
    }),
  );
});
