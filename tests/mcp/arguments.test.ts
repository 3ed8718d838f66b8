import { describe, expect, it } from 'vitest';
import { generateArguments, submissionOf } from '../../src/mcp/arguments';

const submission = (given: Record<string, unknown>) =>
  submissionOf(generateArguments.parse(given), new Set(Object.keys(given)));

describe('what an idempotency key stands for', () => {
  it('has what was written, and no default: another default later is not another call', () => {
    expect(submission({ prompt: 'a boat' }).rawBody).toEqual({ prompt: 'a boat' });
    const call = { idempotency_key: 'k', wait_seconds: 0, n: 1, prompt: 'a boat' };
    expect(submission(call).rawBody).toEqual({ prompt: 'a boat', n: 1 });
  });

  it('is the same by either name of the steps', () => {
    const named = submission({ prompt: 'a boat', num_inference_steps: 20 });
    expect(named.rawBody).toEqual({ prompt: 'a boat', steps: 20 });
    expect(named.body.steps).toBe(20);
  });
});
