/** All that a command knows of the outside: two streams, the environment, a clock, and Ctrl-C. */
export interface Stream {
  readonly isTTY: boolean;
  /** Of a terminal; `DEFAULT_COLUMNS` where nobody knows. */
  readonly columns: number;
  /** Resolves when the text has been handed on, so that an exit right after cuts nothing off. */
  write(content: string | Uint8Array): Promise<void>;
}

export interface Terminal {
  readonly stdout: Stream;
  readonly stderr: Stream;
  /** Stdin to its end, or a little more than `most` characters of it. */
  readInput(most: number): Promise<string>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Epoch ms. */
  now(): number;
  /** Calls `tick` again and again, without keeping the process alive. Returns what ends it. */
  every(ms: number, tick: () => void): () => void;
  /** Calls `listener` at each Ctrl-C from now on. Returns what ends it. */
  onInterrupt(listener: () => void): () => void;
  /** Ends the process at once. */
  exit(code: number): never;
}

export const DEFAULT_COLUMNS = 80;

/** https://no-color.org: set to anything but nothing. */
export function hasColour(stream: Stream, env: Terminal['env']): boolean {
  return stream.isTTY && !env.NO_COLOR && env.TERM !== 'dumb';
}
