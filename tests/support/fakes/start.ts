// Vitest's globalSetup of the `workers` project: the fakes run on Node, the tests reach them from
// workerd over the loopback interface and script them through /control.
import type { TestProject } from 'vitest/node';
import { fakes } from './all.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Address of each fake by its name, without a slash at the end. */
    fakes: Record<keyof typeof fakes, string>;
  }
}

export default async function setup(project: TestProject) {
  const entries = Object.entries(fakes).map(
    async ([name, start]) => [name, await start()] as const,
  );
  const started = await Promise.all(entries);
  const urls = Object.fromEntries(started.map(([name, { url }]) => [name, url]));
  project.provide('fakes', urls as Record<keyof typeof fakes, string>);
  return async () => {
    await Promise.all(started.map(([, { close }]) => close()));
  };
}
