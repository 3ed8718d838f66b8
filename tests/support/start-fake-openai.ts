// Vitest's globalSetup of the `workers` project: the fake runs on Node, the tests reach it from
// workerd over the loopback interface and script it through /control.
import type { TestProject } from 'vitest/node';
import { startFakeOpenAi } from './fake-openai';

declare module 'vitest' {
  export interface ProvidedContext {
    fakeOpenAiUrl: string;
  }
}

export default async function setup(project: TestProject) {
  const fake = await startFakeOpenAi();
  project.provide('fakeOpenAiUrl', fake.baseUrl);
  return () => fake.close();
}
