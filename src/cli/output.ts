/** Where a command's words go: results to stdout, everything else to stderr. */
import { createPaint, type Paint } from './paint';
import { hasColour, type Terminal } from './terminal';
import { jsonText } from './text';

export interface Output {
  /** With `--json` stdout has documents only, and stderr nothing but the problem that ended it. */
  readonly isJson: boolean;
  readonly paint: Paint;
  /** Of stdout. */
  readonly width: number;
  /** The one for people, or the other. */
  result(answer: { readonly json: unknown; readonly text: () => string }): Promise<void>;
  /** One of many documents, each a line. */
  line(document: unknown): Promise<void>;
}

/** Tables that are read by another program, or kept, are not cut. */
const UNBOUNDED = 10_000;

export function createOutput(terminal: Terminal, isJson: boolean): Output {
  const { stdout, env } = terminal;
  return {
    isJson,
    paint: createPaint(hasColour(stdout, env)),
    width: stdout.isTTY ? stdout.columns : UNBOUNDED,
    result: ({ json, text }) => stdout.write(isJson ? `${jsonText(json, 2)}\n` : text()),
    line: (document) => stdout.write(`${jsonText(document)}\n`),
  };
}
