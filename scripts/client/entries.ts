/** What of `src` is published, and as what in `dist`. */
export interface Entry {
  /** The name in `dist`, without `.js`. */
  readonly name: string;
  readonly source: string;
}

/** For browsers, Node and Workers. */
export const everywhere: readonly Entry[] = [
  { name: 'index', source: 'src/client/index.ts' },
  { name: 'webhooks', source: 'src/client/webhooks.ts' },
];

/** For Node from 20 on. */
export const commands: readonly Entry[] = [{ name: 'cli/main', source: 'src/cli/main.ts' }];

/**
 * Packages that those import which are bundled with the command line, for what it never does: animations
 * in the terminal and writing text on images. Some of them want a newer Node than the rest.
 */
export const leftOut: readonly string[] = [
  'log-update',
  'parse-bmfont-ascii',
  'parse-bmfont-binary',
  'parse-bmfont-xml',
  'simple-xml-to-json',
];
