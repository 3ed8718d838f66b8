import { describe, expect, it } from 'vitest';
import { parseOrigins } from '../../src/platform/cors';

describe('CORS_ORIGINS', () => {
  it.each([
    ['', []],
    ['*', '*'],
    ['https://app.example.com', ['https://app.example.com']],
    [
      ' https://app.example.com , http://localhost:3000',
      ['https://app.example.com', 'http://localhost:3000'],
    ],
  ])('takes %j', (text, origins) => {
    expect(parseOrigins(text)).toEqual(origins);
  });

  it.each([
    'app.example.com',
    'https://app.example.com/',
    'https://app.example.com/path',
    'https://app.example.com:443',
    'https://APP.example.com',
    'https://user@app.example.com',
    'https://*.example.com',
    'ftp://app.example.com',
    'null',
    '*, https://app.example.com',
    'https://app.example.com,',
  ])('refuses %j', (text) => {
    expect(parseOrigins(text)).toBeNull();
  });
});
