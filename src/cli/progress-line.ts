/**
 * Tells on stderr how far a request has come: a line redrawn in place on a terminal, elsewhere a line
 * for each change, and with `--json` nothing.
 */
import type { ForemanRequest } from '../client/types';
import { createPaint } from './paint';
import { describeChange, type Progress, progressOf, renderProgress } from './progress';
import { hasColour, type Terminal } from './terminal';
import { plain } from './text';

export interface ProgressLine {
  update(request: ForemanRequest): void;
  /** A line that stays. */
  note(text: string): void;
  end(): void;
}

/** Often enough for a clock with tenths to look alive. */
const REDRAW_MS = 200;
const CLEAR = '\r\u001b[2K';

const silent: ProgressLine = { update() {}, note() {}, end() {} };

export function startProgressLine(
  terminal: Terminal,
  { isJson }: { readonly isJson: boolean },
): ProgressLine {
  if (isJson) return silent;
  return terminal.stderr.isTTY ? inPlace(terminal) : lineByLine(terminal);
}

function lineByLine({ stderr }: Terminal): ProgressLine {
  let last: Progress | null = null;
  return {
    update(request) {
      const next = progressOf(request, last);
      const text = describeChange(next);
      if (last === null || describeChange(last) !== text) void stderr.write(`${text}\n`);
      last = next;
    },
    note: (text) => void stderr.write(`${plain(text)}\n`),
    end() {},
  };
}

function inPlace(terminal: Terminal): ProgressLine {
  const { stderr, env } = terminal;
  const paint = createPaint(hasColour(stderr, env));
  let progress: Progress | null = null;
  let stop: (() => void) | null = null;
  const draw = () => {
    if (progress === null) return;
    // The last column is left free: some terminals go on to the next line when it is taken.
    const width = stderr.columns - 1;
    const line = renderProgress(progress, { now: terminal.now(), width, paint });
    void stderr.write(`${CLEAR}${line}`);
  };
  return {
    update(request) {
      progress = progressOf(request, progress);
      draw();
      stop ??= terminal.every(REDRAW_MS, draw);
    },
    note(text) {
      void stderr.write(`${progress === null ? '' : CLEAR}${paint('dim', plain(text))}\n`);
      draw();
    },
    end() {
      stop?.();
      stop = null;
      if (progress !== null) void stderr.write(CLEAR);
      progress = null;
    },
  };
}
