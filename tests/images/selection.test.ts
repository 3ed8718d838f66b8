import { describe, expect, it } from 'vitest';
import { type Asked, type Selection, select } from '../../src/images/selection';

const createdAt = Date.UTC(2026, 10, 21, 12, 0, 0, 500);
const lastModified = 'Sat, 21 Nov 2026 12:00:00 GMT';
const earlier = 'Sat, 21 Nov 2026 11:59:59 GMT';
const stored = { etag: '"abc"', createdAt, bytes: 100 };
const nothing: Asked = { ifNoneMatch: null, ifModifiedSince: null, range: null, ifRange: null };

const part = (offset: number, length: number): Selection => ({
  select: 'part',
  range: { offset, length },
});
const whole: Selection = { select: 'whole' };
const beyondEnd: Selection = { select: 'beyond_end' };
const nothingNew: Selection = { select: 'nothing_new' };

it('a request that asks for nothing special gets the whole', () => {
  expect(select(nothing, stored)).toEqual(whole);
});

describe('Range', () => {
  it.each<[string, Selection]>([
    ['bytes=0-9', part(0, 10)],
    ['bytes=10-10', part(10, 1)],
    ['bytes=90-', part(90, 10)],
    ['bytes=0-', part(0, 100)],
    ['bytes=99-', part(99, 1)],
    ['bytes=50-1000', part(50, 50)],
    ['bytes=0-99999999999999999999999', part(0, 100)],
    ['bytes=-1', part(99, 1)],
    ['bytes=-100', part(0, 100)],
    ['bytes=-1000', part(0, 100)],
    ['BYTES = 0-9', part(0, 10)],
    ['bytes=100-', beyondEnd],
    ['bytes=100-200', beyondEnd],
    ['bytes=99999999999999999999999-', beyondEnd],
    ['bytes=-0', beyondEnd],
  ])('%s selects within 100 bytes', (range, selection) => {
    expect(select({ ...nothing, range }, stored)).toEqual(selection);
  });

  it.each([
    'bytes=0-9,20-29',
    'bytes=9-0',
    'bytes=200-100',
    'bytes=-',
    'bytes=',
    'bytes',
    'bytes=a-b',
    'bytes=--1',
    'bytes=0-9-10',
    'bytes=1.5-2',
    'pages=0-9',
    '',
  ])('%j is answered with the whole', (range) => {
    expect(select({ ...nothing, range }, stored)).toEqual(whole);
  });
});

describe('If-None-Match', () => {
  it.each<[string, Selection]>([
    ['"abc"', nothingNew],
    ['W/"abc"', nothingNew],
    ['"x", "abc"', nothingNew],
    ['"x","y" , W/"abc"', nothingNew],
    ['*', nothingNew],
    ['"abcd"', whole],
    ['abc', whole],
    ['', whole],
  ])('%j', (ifNoneMatch, selection) => {
    expect(select({ ...nothing, ifNoneMatch }, stored)).toEqual(selection);
  });

  it('goes before a range', () => {
    const asked = { ...nothing, ifNoneMatch: '"abc"', range: 'bytes=0-9' };
    expect(select(asked, stored)).toEqual(nothingNew);
  });

  it('goes before If-Modified-Since', () => {
    const asked = { ...nothing, ifNoneMatch: '"other"', ifModifiedSince: lastModified };
    expect(select(asked, stored)).toEqual(whole);
  });
});

describe('If-Modified-Since', () => {
  it.each<[string, Selection]>([
    [lastModified, nothingNew],
    ['Sat, 21 Nov 2026 12:00:01 GMT', nothingNew],
    [earlier, whole],
    ['yesterday', whole],
  ])('%j', (ifModifiedSince, selection) => {
    expect(select({ ...nothing, ifModifiedSince }, stored)).toEqual(selection);
  });
});

describe('If-Range', () => {
  it.each<[string, Selection]>([
    ['"abc"', part(0, 10)],
    [lastModified, part(0, 10)],
    ['"other"', whole],
    ['W/"abc"', whole],
    [earlier, whole],
    ['nonsense', whole],
  ])('%j decides whether the range counts', (ifRange, selection) => {
    expect(select({ ...nothing, range: 'bytes=0-9', ifRange }, stored)).toEqual(selection);
  });

  it('that does not match makes a range beyond the end the whole', () => {
    const asked = { ...nothing, range: 'bytes=500-', ifRange: '"other"' };
    expect(select(asked, stored)).toEqual(whole);
  });
});
