import { expect, it } from 'vitest';
import { createLogger } from '../../src/platform/log';

function logged(error: unknown): Record<string, unknown> {
  const lines: string[] = [];
  createLogger((line) => lines.push(line)).warn('thing.failed', { request_id: 'req_1', error });
  return JSON.parse(lines[0] ?? '');
}

it('a line is JSON with its time, level and event', () => {
  expect(logged(new Error('down'))).toEqual({
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    level: 'warn',
    event: 'thing.failed',
    request_id: 'req_1',
    error_type: 'Error',
    error_message: 'down',
  });
});

it('an error that quotes what it could not parse is named and not quoted', () => {
  let fault: unknown;
  try {
    JSON.parse('a secret prompt');
  } catch (error) {
    fault = error;
  }
  expect(JSON.stringify(logged(fault))).not.toContain('secret');
});
