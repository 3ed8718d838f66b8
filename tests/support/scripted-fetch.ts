// An in-memory `fetch`. Any URL without a script is a fault of the test, so it throws; and because
// code under test may catch that, the fault is kept as well and `unlisted` shows it.
export interface RecordedCall {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
  text(): string;
  json(): unknown;
  form(): Promise<FormData>;
}

/** What a script answers: a response, a thrown fault, or whatever comes of the call. */
export type Script = (
  call: RecordedCall,
  signal: AbortSignal | null,
) => Response | Promise<Response>;

export interface ScriptedFetch {
  readonly fetch: typeof fetch;
  readonly calls: RecordedCall[];
  readonly unlisted: string[];
}

/** Keys are `METHOD url`. A list answers call by call and its last script goes on answering. */
export function scriptedFetch(scripts: Record<string, Script | readonly Script[]>): ScriptedFetch {
  const calls: RecordedCall[] = [];
  const unlisted: string[] = [];
  const used = new Map<string, number>();
  const scripted: typeof fetch = async (input, init) => {
    init?.signal?.throwIfAborted();
    const request = new Request(input, init);
    const name = `${request.method} ${request.url}`;
    const listed = scripts[name];
    if (!listed) {
      unlisted.push(name);
      throw new Error(`no script for ${name}`);
    }
    const call = await record(request);
    calls.push(call);
    const count = used.get(name) ?? 0;
    used.set(name, count + 1);
    const script = typeof listed === 'function' ? listed : (listed[count] ?? listed.at(-1));
    if (!script) throw new Error(`an empty list of scripts for ${name}`);
    return script(call, init?.signal ?? null);
  };
  return { fetch: scripted, calls, unlisted };
}

async function record(request: Request): Promise<RecordedCall> {
  const body = new Uint8Array(await request.arrayBuffer());
  const headers = new Headers(request.headers);
  const text = () => new TextDecoder().decode(body);
  return {
    method: request.method,
    url: request.url,
    headers,
    body,
    text,
    json: () => JSON.parse(text()),
    form: () => new Response(body, { headers }).formData(),
  };
}
