import { describe, expect, it } from 'vitest';
import { createPaint } from '../../src/cli/paint';
import { describeChange, type Progress, progressOf, renderProgress } from '../../src/cli/progress';
import { startProgressLine } from '../../src/cli/progress-line';
import type { ForemanRequest } from '../../src/client/types';
import { at, attemptLike, BEGIN, fakeTerminal, requestLike } from './support';

const none = createPaint(false);

const waitingFor = (fields: Partial<NonNullable<ForemanRequest['waiting']>>) =>
  requestLike({
    waiting: { reason: 'queue', position: null, next_attempt_at: null, eta: null, ...fields },
  });
const eta = { p50: at(10), p90: at(20) };
const running = requestLike({ status: 'running', attempts: [attemptLike()] });

describe('a change', () => {
  it.each<[string, ForemanRequest]>([
    ['queued, waiting in the queue, position 3', waitingFor({ position: 3 })],
    ['queued, waiting for budget', waitingFor({ reason: 'budget' })],
    ['running, attempt 1 at openai/gpt-image-1', running],
    [
      'queued, waiting before the next attempt, attempt 1 at openai/gpt-image-1 failed',
      { ...waitingFor({ reason: 'backoff' }), attempts: [attemptLike({ outcome: 'failed' })] },
    ],
    ['succeeded', requestLike({ status: 'succeeded', attempts: [attemptLike()] })],
  ])('reads "%s"', (text, request) => {
    expect(describeChange(progressOf(request, null))).toBe(text);
  });
});

describe('the line of progress', () => {
  const render = (progress: Progress, seconds: number, width = 120) =>
    renderProgress(progress, { now: BEGIN + seconds * 1_000, width, paint: none });

  it('has the state, the provider, the attempt and the time', () => {
    expect(render(progressOf(running, null), 3.2)).toBe(
      'running · attempt 1 at openai/gpt-image-1 · 3.2 s',
    );
  });

  it('fills a bar up to the time that half of such requests take, and never quite', () => {
    const progress = progressOf(waitingFor({ position: 1, eta }), null);
    expect(render(progress, 5)).toMatch(/ · 5\.0 s \[#{10}-{10}\] about 5\.0 s left$/);
    expect(render(progress, 60)).toMatch(/ \[#{19}-\] any moment$/);
  });

  it('keeps the estimate while the call runs, which has none', () => {
    const progress = progressOf(running, progressOf(waitingFor({ eta }), null));
    expect(render(progress, 5)).toMatch(/^running .*\[#{10}-{10}\]/);
  });

  it('is cut to the terminal, the bar first', () => {
    const progress = progressOf(waitingFor({ position: 1, eta }), null);
    expect(render(progress, 5, 60)).toBe('queued · waiting in the queue · position 1 · 5.0 s');
    expect(render(progress, 5, 12)).toBe('queued · wa…');
  });
});

describe('progress on stderr', () => {
  it('is a line for each change where it is no terminal', () => {
    const terminal = fakeTerminal();
    const line = startProgressLine(terminal, { isJson: false });
    line.note('Request req_1');
    for (const request of [waitingFor({}), waitingFor({}), running]) line.update(request);
    line.end();
    expect(terminal.said).toEqual({
      stdout: '',
      stderr:
        'Request req_1\nqueued, waiting in the queue\nrunning, attempt 1 at openai/gpt-image-1\n',
    });
  });

  it('is redrawn in place on a terminal, and gone at the end', () => {
    let seconds = 1;
    const now = () => BEGIN + seconds * 1_000;
    const terminal = fakeTerminal({ isTTY: true, now, env: { NO_COLOR: '1' } });
    const line = startProgressLine(terminal, { isJson: false });
    line.update(waitingFor({}));
    seconds = 2;
    terminal.tick();
    line.end();
    terminal.tick();
    const clear = '\r\u001b[2K';
    expect(terminal.said).toEqual({
      stdout: '',
      stderr: `${clear}queued · waiting in the queue · 1.0 s${clear}queued · waiting in the queue · 2.0 s${clear}`,
    });
  });

  it('says nothing with --json', () => {
    const terminal = fakeTerminal({ isTTY: true });
    const line = startProgressLine(terminal, { isJson: true });
    line.note('Request req_1');
    line.update(running);
    line.end();
    expect(terminal.said.stderr).toBe('');
  });
});
