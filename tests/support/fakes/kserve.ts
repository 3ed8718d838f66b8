// A fake model server that speaks both of KServe's protocols, with the errors of KServe's Python
// server. Its one model is `sd`; `loading` says of it that it is not ready yet.
import type { ServerResponse } from 'node:http';
import { type End, type FakeError, isEnd, sendEnd } from './ends.ts';
import { png } from './png.ts';
import { type FakeApi, type FakeCall, sendJson, startFake } from './server.ts';

export type KserveBehaviour = 'ok' | 'empty' | 'loading' | 'unavailable' | End;

export const startFakeKserve = (port?: number) =>
  startFake<KserveBehaviour>(() => new FakeKserve(), 'ok', port);

const MODEL = 'sd';
const DEFAULT_SIDE = 64;

class FakeKserve implements FakeApi<KserveBehaviour> {
  private made = 0;
  private readinessChecks = 0;
  private isLoading = false;

  facts = () => ({ made: this.made, readinessChecks: this.readinessChecks });

  reset = () => {
    this.made = 0;
    this.readinessChecks = 0;
    this.isLoading = false;
  };

  handle = (call: FakeCall, response: ServerResponse, take: () => KserveBehaviour) => {
    const asked = questionIn(call);
    if (!asked) return sendJson(response, 404, { detail: 'Not Found' });
    if (asked.model !== MODEL) {
      return sendJson(response, 404, {
        error: `Model with name ${asked.model} does not exist.`,
      });
    }
    if (asked.is === 'readiness') {
      this.readinessChecks += 1;
      return this.isLoading
        ? sendNotReady(response)
        : sendJson(response, 200, { name: MODEL, ready: true });
    }
    return this.predict(asked.protocol, call, response, take());
  };

  private predict(
    protocol: ProtocolName,
    call: FakeCall,
    response: ServerResponse,
    behaviour: KserveBehaviour,
  ): void {
    this.isLoading = behaviour === 'loading';
    const parameters = readParameters(protocol, JSON.parse(call.body.toString()));
    if (behaviour === 'reset' || behaviour === 'cut-answer') this.made += 1;
    if (isEnd(behaviour)) sendEnd(behaviour, response, errorBody);
    else if (behaviour === 'loading') sendNotReady(response);
    else if (behaviour === 'unavailable') response.writeHead(503).end('no healthy upstream');
    else if (!parameters) sendJson(response, 400, { error: 'Invalid input' });
    else {
      const pictures = picturesFor(parameters);
      this.made += pictures.length;
      sendJson(response, 200, answerOf(protocol, behaviour === 'empty' ? [] : pictures));
    }
  }
}

function picturesFor(parameters: ReadonlyMap<string, unknown>): string[] {
  const numberOf = (name: string, usual: number) => Number(parameters.get(name) ?? usual);
  const picture = png(numberOf('width', DEFAULT_SIDE), numberOf('height', DEFAULT_SIDE));
  return Array.from({ length: numberOf('num_images', 1) }, () => picture.toString('base64'));
}

type ProtocolName = 'v1' | 'v2';

interface Question {
  readonly is: 'prediction' | 'readiness';
  readonly protocol: ProtocolName;
  readonly model: string;
}

const routes = [
  ['POST', /^\/v1\/models\/([^/:]+):predict$/, 'prediction', 'v1'],
  ['GET', /^\/v1\/models\/([^/:]+)$/, 'readiness', 'v1'],
  ['POST', /^\/v2\/models\/([^/]+)\/infer$/, 'prediction', 'v2'],
  ['GET', /^\/v2\/models\/([^/]+)\/ready$/, 'readiness', 'v2'],
] as const;

function questionIn({ method, path }: FakeCall): Question | null {
  for (const [verb, pattern, is, protocol] of routes) {
    const model = method === verb ? pattern.exec(path)?.[1] : undefined;
    if (model !== undefined) return { is, protocol, model: decodeURIComponent(model) };
  }
  return null;
}

interface Tensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly data: readonly unknown[];
}

/** Of the JSON type that each datatype stands for; null for a body that is not of the protocol. */
function readParameters(
  protocol: ProtocolName,
  body: { instances?: readonly Record<string, unknown>[]; inputs?: readonly Tensor[] },
): ReadonlyMap<string, unknown> | null {
  if (protocol === 'v1') {
    const [instance] = body.instances ?? [];
    return typeof instance?.prompt === 'string' ? new Map(Object.entries(instance)) : null;
  }
  const inputs = body.inputs ?? [];
  const isWhole = inputs.every(
    ({ shape, data, datatype }) =>
      shape[0] === data.length && typeof data[0] === JSON_TYPES[datatype],
  );
  const parameters = new Map(inputs.map(({ name, data }) => [name, data[0]]));
  return isWhole && parameters.has('prompt') ? parameters : null;
}

const JSON_TYPES: Readonly<Record<string, string>> = {
  BYTES: 'string',
  BOOL: 'boolean',
  INT32: 'number',
  INT64: 'number',
  FP32: 'number',
};

const answerOf = (protocol: ProtocolName, pictures: readonly string[]) =>
  protocol === 'v1'
    ? { predictions: pictures.map((b64) => ({ model_name: MODEL, image: { format: 'PNG', b64 } })) }
    : {
        model_name: MODEL,
        id: 'fake',
        outputs: [{ name: 'image', datatype: 'BYTES', shape: [pictures.length], data: pictures }],
      };

const sendNotReady = (response: ServerResponse) =>
  sendJson(response, 503, { error: `Model with name ${MODEL} is not ready.` });

const errorBody = ({ message }: FakeError) => ({ error: message });
