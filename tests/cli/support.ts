/** A terminal that only remembers, with a Ctrl-C that a test presses. */

import type { Terminal } from '../../src/cli/terminal';
import type { ForemanRequest } from '../../src/client/types';

export interface FakeTerminal extends Terminal {
  readonly said: { stdout: string; stderr: string };
  readonly bytes: Uint8Array[];
  interrupt(): void;
  /** Redraws what is redrawn in place. */
  tick(): void;
  readonly exits: number[];
}

export class Exited extends Error {}

export function fakeTerminal({
  isTTY = false,
  columns = 80,
  env = {},
  input = '',
  now = () => 0,
}: {
  isTTY?: boolean;
  columns?: number;
  env?: Record<string, string>;
  input?: string;
  now?: () => number;
} = {}): FakeTerminal {
  const said = { stdout: '', stderr: '' };
  const bytes: Uint8Array[] = [];
  const interrupts = new Set<() => void>();
  const ticks = new Set<() => void>();
  const exits: number[] = [];
  const streamTo = (name: 'stdout' | 'stderr') => ({
    isTTY,
    columns,
    async write(content: string | Uint8Array) {
      if (typeof content === 'string') said[name] += content;
      else bytes.push(content);
    },
  });
  const listenIn = (listeners: Set<() => void>, listener: () => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  return {
    stdout: streamTo('stdout'),
    stderr: streamTo('stderr'),
    readInput: async () => input,
    env,
    now,
    every: (_, tick) => listenIn(ticks, tick),
    onInterrupt: (listener) => listenIn(interrupts, listener),
    exit(code) {
      exits.push(code);
      throw new Exited();
    },
    said,
    bytes,
    exits,
    interrupt() {
      for (const listener of interrupts) listener();
    },
    tick() {
      for (const tick of ticks) tick();
    },
  };
}

/** 2026-01-01T00:00:00Z, when every request here was made. */
export const BEGIN = Date.parse('2026-01-01T00:00:00Z');
export const at = (seconds: number) => new Date(BEGIN + seconds * 1_000).toISOString();

export function requestLike(fields: Partial<ForemanRequest> = {}): ForemanRequest {
  return {
    id: 'req_1',
    status: 'queued',
    model: 'auto',
    input: { prompt: 'a boat' },
    images: [],
    error: null,
    attempts: [],
    waiting: null,
    warnings: [],
    metadata: {},
    priority: 'normal',
    retry_of: null,
    parent_id: null,
    variations_of: null,
    reused_from: null,
    version: 1,
    cost_usd: 0,
    created_at: at(0),
    started_at: null,
    completed_at: null,
    expires_at: at(900),
    urls: { self: 'https://a.test/1', events: 'https://a.test/2', cancel: 'https://a.test/3' },
    ...fields,
  };
}

export const attemptLike = (fields: Partial<ForemanRequest['attempts'][number]> = {}) => ({
  number: 1,
  provider: 'openai',
  model: 'gpt-image-1',
  outcome: null,
  reason: 'first choice',
  started_at: at(1),
  completed_at: null,
  duration_ms: null,
  cost_usd: 0,
  possibly_billed: false,
  provider_request_id: null,
  error: null,
  ...fields,
});
