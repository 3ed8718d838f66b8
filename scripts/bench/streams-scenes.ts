// Users whose requests are admitted while nobody listens, or hundreds do.
import type { Api, RequestView } from '../../tests/e2e/support/api.ts';
import type { Server } from '../../tests/e2e/support/server.ts';
import { inParallel, until } from '../../tests/e2e/support/until.ts';

export interface Scene {
  readonly name: string;
  /** The scene that does the same without a listener. */
  readonly comparedWith: string | null;
  /** The milliseconds that each admission took. */
  admit(requests: number): Promise<number[]>;
  /** Waits until every listener has heard all that there was. */
  heard(): Promise<void>;
  close(): void;
}

const IN_FLIGHT = 8;
const HEARD_WITHIN_MS = 120_000;

/** Nothing runs: what is measured is the door. */
const limits = {
  requests_per_minute: 1_000_000,
  burst: 100_000,
  max_running: 0,
  max_waiting: 100_000,
  images_per_day: 1_000_000,
};
const body = {
  model: 'sketch',
  prompt: 'a boat',
  width: 64,
  height: 64,
  deadline_seconds: 3_600,
};

export async function createScenes(
  server: Server,
  { streams, requests }: { readonly streams: number; readonly requests: number },
): Promise<Scene[]> {
  const user = async () => (await server.createUser(limits)).api;
  const nobody = await user();
  const waiting = await user();
  const [unheard, changing] = [await user(), await user()];
  const everything = await user();
  // One after the other: each is measured with its streams open, and all of them are.
  const idle = await openStreams(waiting, await submitAll(waiting, streams));
  const toCancel = await submitAll(unheard, requests);
  const followed = await submitAll(changing, Math.max(streams, requests));
  const following = await openStreams(changing, followed.slice(0, streams));
  const sockets = await openSockets(everything, streams);
  const name = `${streams} event streams of the canceled requests`;
  const canceling = cancelingScene(name, changing, followed);
  return [
    sceneOf('nobody listens', nobody),
    {
      ...sceneOf(`${streams} event streams of waiting requests`, waiting),
      comparedWith: 'nobody listens',
      close: idle.close,
    },
    cancelingScene('nobody listens, a request is canceled for each', unheard, toCancel).scene,
    {
      ...canceling.scene,
      comparedWith: 'nobody listens, a request is canceled for each',
      heard: () => following.ended(Math.min(streams, canceling.canceled())).then(() => {}),
      close: following.close,
    },
    sockets.scene(sceneOf(`${streams} WebSockets that hear of everything`, everything)),
  ];
}

function sceneOf(name: string, api: Api): Scene {
  return {
    name,
    comparedWith: null,
    admit: (requests) => inParallel(Array.from({ length: requests }), IN_FLIGHT, () => admit(api)),
    heard: async () => {},
    close: () => {},
  };
}

/** Half of what is in flight cancels. Only admissions are timed. */
function cancelingScene(name: string, api: Api, ids: readonly string[]) {
  const left = [...ids];
  const scene: Scene = {
    ...sceneOf(name, api),
    async admit(requests) {
      const steps = Array.from({ length: requests }, () => left.shift() ?? '');
      const [times] = await Promise.all([
        inParallel(steps, IN_FLIGHT / 2, () => admit(api)),
        inParallel(steps, IN_FLIGHT / 2, async (id) => {
          const { status } = await api.post(`/v1/requests/${id}/cancel`);
          if (status !== 200) throw new Error(`${id} was not canceled: ${status}`);
        }),
      ]);
      return times;
    },
  };
  return { scene, canceled: () => ids.length - left.length };
}

async function admit(api: Api): Promise<number> {
  const began = performance.now();
  const { status } = await api.post('/v1/requests', body);
  if (status !== 202) throw new Error(`Not accepted: ${status}`);
  return performance.now() - began;
}

async function submitAll(api: Api, count: number): Promise<string[]> {
  return inParallel(Array.from({ length: count }), IN_FLIGHT, async () => {
    return (await api.post<RequestView>('/v1/requests', body)).body.id;
  });
}

/** As many server-sent event streams. One whose request ends, ends. */
async function openStreams(api: Api, ids: readonly string[]) {
  const hangUp = new AbortController();
  const ended = new Set<string>();
  await inParallel([...ids], IN_FLIGHT, async (id) => {
    const response = await fetch(new URL(`/v1/requests/${id}/events`, api.origin), {
      headers: { authorization: `Bearer ${api.key}` },
      signal: hangUp.signal,
    });
    if (response.status !== 200) throw new Error(`No event stream: ${response.status}`);
    void drain(response, () => ended.add(id));
  });
  return {
    close: () => hangUp.abort(),
    /** Of so many of them, as their requests have ended. */
    ended: (count: number) =>
      until('every stream of a canceled request ends', () => ended.size >= count, HEARD_WITHIN_MS),
  };
}

async function drain(response: Response, onEnd: () => void): Promise<void> {
  let text = '';
  try {
    for await (const chunk of response.body ?? []) text += Buffer.from(chunk).toString();
    if (text.includes('event: request.canceled')) onEnd();
  } catch {
    // Hung up at the end of the script.
  }
}

async function openSockets(api: Api, count: number) {
  const { body: made } = await api.post<{ urls: { events: string } }>('/v1/tickets', {});
  const heard = new Array<number>(count).fill(0);
  let told = 0;
  const sockets = await inParallel([...heard.keys()], IN_FLIGHT, async (index) => {
    const socket = new WebSocket(made.urls.events);
    const opened = Promise.withResolvers<void>();
    socket.addEventListener('message', ({ data }) => {
      if (String(data).startsWith('{"id":')) heard[index] = (heard[index] ?? 0) + 1;
      else opened.resolve();
    });
    socket.addEventListener('close', ({ code }) => {
      opened.reject(new Error(`A socket was closed with ${code}`));
    });
    await opened.promise;
    return socket;
  });
  return {
    scene: (scene: Scene): Scene => ({
      ...scene,
      comparedWith: 'nobody listens',
      async admit(requests) {
        told += requests;
        return scene.admit(requests);
      },
      heard: () =>
        until(
          'every socket has heard of every request',
          () => heard.every((count) => count === told),
          HEARD_WITHIN_MS,
        ).then(() => {}),
      close() {
        for (const socket of sockets) socket.close();
      },
    }),
  };
}
