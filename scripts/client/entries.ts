/** What of `src` is published, and as what in `dist`. */
export interface Entry {
  /** The name in `dist`, without `.js`. */
  readonly name: string;
  readonly source: string;
}

/** For browsers, Node and Workers: whole, with nothing to be installed beside it. */
export const everywhere: readonly Entry[] = [
  { name: 'index', source: 'src/client/index.ts' },
  { name: 'webhooks', source: 'src/client/webhooks.ts' },
];

/** For Node from 20 on; what package.json names as a dependency is not put into it. */
export const commands: readonly Entry[] = [{ name: 'cli/main', source: 'src/cli/main.ts' }];
