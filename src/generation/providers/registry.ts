/** Which providers there are: one line each. One whose settings are missing is null. */
import type { Settings } from '../../platform/config';
import { createChaosProvider } from './chaos';
import { createOpenAiProvider } from './openai';
import type { FetchImage } from './openai-images';
import type { Provider } from './provider';
import { createSketchProvider } from './sketch';
import { drawSketch } from './sketch/draw';

export function createProviders(
  settings: Pick<Settings, 'openai' | 'chaosModels'>,
  deps: {
    readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
    /** For servers that answer with a URL. @throws Error when there is no image to be had. */
    readonly fetchImage: FetchImage;
  },
): (name: string) => Provider | null {
  const send: typeof fetch = (input, init) => fetch(input, init);
  const { openai, chaosModels } = settings;
  const { fetchImage } = deps;
  const providers: Record<string, Provider | null> = {
    sketch: createSketchProvider({ draw: drawSketch }),
    openai: openai && createOpenAiProvider({ ...openai, fetch: send, fetchImage }),
    chaos: chaosModels ? createChaosProvider({ draw: drawSketch, sleep: deps.sleep }) : null,
  };
  return (name) => providers[name] ?? null;
}
