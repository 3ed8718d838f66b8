// ComfyUI's server over a real socket. It checks a workflow as the real one does (classes, inputs,
// links, files), keeps a queue and a history, and goes one step further at each look at its queue.
import type { ServerResponse } from 'node:http';
import { png } from './png.ts';
import { type Fake, type FakeApi, type FakeCall, sendJson, startFake } from './server.ts';

export const FAKE_CHECKPOINT = 'sd_xl_base_1.0.safetensors';

export type ComfyUiBehaviour =
  | 'ok'
  /** Waits for two looks at the queue, runs for two. */
  | 'slow'
  /** Stays second in the queue, behind somebody else's running job. */
  | 'waiting'
  | 'running'
  | 'execution-error'
  | 'interrupted'
  /** Its workflow ends in previews alone. */
  | 'previews-only'
  | 'with-previews'
  /** Accepted, though a part of the workflow is not valid. */
  | 'partly-valid'
  /** As older servers: the id is always the server's own. */
  | 'own-id'
  | 'forgotten'
  | 'reset-after-body'
  | 'hang'
  | 'malformed-json'
  | 'unauthorized'
  | 'server-error'
  | 'upload-refused'
  | 'upload-reset'
  | 'queue-500'
  | 'view-404';

type Node = { class_type: string; inputs: Record<string, unknown> };
type Workflow = Record<string, Node>;

interface Job {
  readonly behaviour: ComfyUiBehaviour;
  readonly workflow: Workflow;
  looks: number;
}

const REQUIRED: Readonly<Record<string, readonly string[]>> = {
  CheckpointLoaderSimple: ['ckpt_name'],
  CLIPTextEncode: ['text', 'clip'],
  EmptyLatentImage: ['width', 'height', 'batch_size'],
  KSampler: [
    ...['model', 'seed', 'steps', 'cfg', 'sampler_name', 'scheduler'],
    ...['positive', 'negative', 'latent_image', 'denoise'],
  ],
  VAEDecode: ['samples', 'vae'],
  VAEEncode: ['pixels', 'vae'],
  SaveImage: ['images', 'filename_prefix'],
  PreviewImage: ['images'],
  LoadImage: ['image'],
  LoadImageMask: ['image', 'channel'],
  ImageScale: ['image', 'upscale_method', 'width', 'height', 'crop'],
  SetLatentNoiseMask: ['samples', 'mask'],
  RepeatLatentBatch: ['samples', 'amount'],
};

const OTHER = '00000000-0000-4000-8000-00000000beef';
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export const startFakeComfyUi = (port?: number): Promise<Fake<ComfyUiBehaviour>> =>
  startFake(createFakeComfyUi, 'ok', port);

function createFakeComfyUi(): FakeApi<ComfyUiBehaviour> {
  let jobs = new Map<string, Job>();
  let files = new Set<string>();
  let behaviour: ComfyUiBehaviour = 'ok';
  let counts = { deleted: 0, interrupted: 0, interruptedOthers: 0 };

  const stateOf = (job: Job): 'waiting' | 'running' | 'done' | 'gone' => {
    switch (job.behaviour) {
      case 'waiting':
      case 'running':
        return job.behaviour;
      case 'forgotten':
        return 'gone';
      case 'slow':
        if (job.looks <= 2) return 'waiting';
        return job.looks <= 4 ? 'running' : 'done';
      default:
        return 'done';
    }
  };
  const idsIn = (state: string) =>
    [...jobs].filter(([, job]) => stateOf(job) === state).map(([id]) => id);

  const submit = (call: FakeCall, response: ServerResponse) => {
    if (behaviour === 'server-error') return sendJson(response, 500, { detail: 'broken' });
    const { prompt: workflow, prompt_id: asked } = JSON.parse(call.body.toString());
    if (asked !== undefined && !UUID.test(asked)) {
      return sendJson(response, 400, refusal('invalid_prompt_id', 'prompt_id must be a UUID'));
    }
    const faults = faultsIn(workflow, files);
    if (faults) return sendJson(response, 400, faults);
    const isNamed = asked !== undefined && behaviour !== 'own-id';
    const id = isNamed ? asked : `11111111-0000-4000-8000-${String(jobs.size).padStart(12, '0')}`;
    jobs.set(id, { behaviour, workflow, looks: 0 });
    if (behaviour === 'hang') return;
    if (behaviour === 'reset-after-body') return hangUp(response);
    if (behaviour === 'malformed-json') return void response.end('{"prompt_id": ');
    const errors = { errors: [{ type: 'value_not_in_list', message: 'Value not in list' }] };
    const node_errors = behaviour === 'partly-valid' ? { '9': errors } : {};
    sendJson(response, 200, { prompt_id: id, number: jobs.size, node_errors });
  };

  const upload = (call: FakeCall, response: ServerResponse) => {
    if (behaviour === 'upload-reset') return hangUp(response);
    if (behaviour === 'upload-refused') return void response.writeHead(400).end();
    const form = call.body.toString('latin1');
    const name = /name="image"; filename="([^"]+)"/.exec(form)?.[1] ?? '';
    const subfolder = /name="subfolder"\r\n\r\n([^\r]*)\r\n/.exec(form)?.[1] ?? '';
    files.add(subfolder ? `${subfolder}/${name}` : name);
    sendJson(response, 200, { name, subfolder, type: 'input' });
  };

  const queue = (response: ServerResponse) => {
    if (behaviour === 'queue-500') return sendJson(response, 500, {});
    for (const job of jobs.values()) job.looks += 1;
    const entry = (id: string, number: number) => [number, id, {}, {}, ['9']];
    const waiting = idsIn('waiting');
    const isBusy = waiting.length > 0;
    // Newest first: the server lists its heap, which is in no order.
    const pending = [OTHER.replace('beef', 'cafe'), ...waiting].map(entry).reverse();
    sendJson(response, 200, {
      queue_running: [...(isBusy ? [OTHER] : []), ...idsIn('running')].map(entry),
      queue_pending: isBusy ? pending : [],
    });
  };

  const history = (id: string, response: ServerResponse) => {
    const job = jobs.get(id);
    const isDone = job !== undefined && stateOf(job) === 'done';
    sendJson(response, 200, isDone ? { [id]: record(id, job) } : {});
  };

  const view = ({ query }: FakeCall, response: ServerResponse) => {
    if (behaviour === 'view-404' || query.type !== 'output')
      return void response.writeHead(404).end();
    response.writeHead(200, { 'content-type': 'image/png' }).end(png());
  };

  const remove = (ids: readonly string[]) => {
    for (const id of ids) {
      const job = jobs.get(id);
      if (job && stateOf(job) === 'waiting' && jobs.delete(id)) counts.deleted += 1;
    }
  };

  const interrupt = (id: string | undefined) => {
    if (id === undefined) counts.interruptedOthers += 1;
    const job = id === undefined ? undefined : jobs.get(id);
    if (id === undefined || !job || stateOf(job) !== 'running') return;
    jobs.set(id, { ...job, behaviour: 'interrupted' });
    counts.interrupted += 1;
  };

  return {
    handle(call, response, take) {
      behaviour = take();
      if (behaviour === 'unauthorized') return sendJson(response, 401, { message: 'no key' });
      const route = `${call.method} ${call.path}`;
      if (route === 'POST /prompt') return submit(call, response);
      if (route === 'POST /upload/image') return upload(call, response);
      if (route === 'GET /queue') return queue(response);
      if (route === 'GET /view') return view(call, response);
      if (route.startsWith('GET /history/')) return history(call.path.slice(9), response);
      if (route !== 'POST /queue' && route !== 'POST /interrupt') {
        return void response.writeHead(404).end('404: Not Found');
      }
      const body = JSON.parse(call.body.toString() || '{}');
      if (route === 'POST /queue') remove(body.delete ?? []);
      else interrupt(body.prompt_id);
      response.writeHead(200).end();
    },
    facts: () => ({ jobs: jobs.size, files: files.size, ...counts }),
    finish() {
      for (const [id, job] of jobs) {
        if (stateOf(job) !== 'done') jobs.set(id, { ...job, behaviour: 'ok' });
      }
    },
    reset: () => {
      jobs = new Map();
      files = new Set();
      behaviour = 'ok';
      counts = { deleted: 0, interrupted: 0, interruptedOthers: 0 };
    },
  };
}

const hangUp = (response: ServerResponse) => void response.socket?.resetAndDestroy();

const refusal = (type: string, message: string) => ({
  error: { type, message, details: '', extra_info: {} },
  node_errors: {},
});

/** The answer to a workflow that cannot run; null when it can. */
function faultsIn(workflow: Workflow, files: ReadonlySet<string>) {
  const nodes = Object.entries(workflow ?? {});
  const unknown = nodes.find(([, node]) => REQUIRED[node.class_type] === undefined);
  if (unknown) {
    const [id, { class_type }] = unknown;
    return refusal('missing_node_type', `Node '${class_type}' not found. (ID: #${id})`);
  }
  if (!nodes.some(([, { class_type }]) => /^(Save|Preview)Image$/.test(class_type))) {
    return refusal('prompt_no_outputs', 'Prompt has no outputs');
  }
  const faulty = nodes.flatMap(([id, node]) => {
    const errors = faultsOf(node, workflow, files);
    return errors.length > 0 ? [[id, { errors, class_type: node.class_type }] as const] : [];
  });
  if (faulty.length === 0) return null;
  const overall = refusal('prompt_outputs_failed_validation', 'Prompt outputs failed validation');
  return { ...overall, node_errors: Object.fromEntries(faulty) };
}

function faultsOf({ class_type, inputs }: Node, workflow: Workflow, files: ReadonlySet<string>) {
  const missing = (REQUIRED[class_type] ?? []).filter((name) => inputs[name] === undefined);
  const errors = missing.map((details) => fault('required_input_missing', details));
  for (const [name, value] of Object.entries(inputs)) {
    if (Array.isArray(value) && !workflow[String(value[0])]) errors.push(fault('bad_link', name));
  }
  if (class_type === 'CheckpointLoaderSimple' && inputs.ckpt_name !== FAKE_CHECKPOINT) {
    const details = `ckpt_name: '${inputs.ckpt_name}' not in ['${FAKE_CHECKPOINT}']`;
    errors.push(fault('value_not_in_list', details));
  }
  if (class_type.startsWith('LoadImage') && !files.has(String(inputs.image))) {
    errors.push(fault('custom_validation_failed', `image - Invalid image file: ${inputs.image}`));
  }
  return errors;
}

const FAULTS: Readonly<Record<string, string>> = {
  required_input_missing: 'Required input is missing',
  bad_link: 'Bad linked input, must be a length-2 list of [node_id, slot_index]',
  value_not_in_list: 'Value not in list',
  custom_validation_failed: 'Custom validation failed for node',
};

const fault = (type: string, details: string) => ({ type, message: FAULTS[type], details });

function record(id: string, { behaviour, workflow }: Job) {
  const base = { prompt: [0, id, {}, {}, ['9']], meta: {} };
  const failed = (name: string, data: object) => ({
    ...base,
    outputs: {},
    status: {
      status_str: 'error',
      completed: false,
      messages: [
        ['execution_start', { prompt_id: id }],
        [name, { prompt_id: id, ...data }],
      ],
    },
  });
  if (behaviour === 'interrupted') return failed('execution_interrupted', { node_id: '3' });
  if (behaviour === 'execution-error') {
    const exception_message = 'Allocation on device\n';
    const exception_type = 'torch.OutOfMemoryError';
    return failed('execution_error', { node_type: 'KSampler', exception_message, exception_type });
  }
  return {
    ...base,
    outputs: outputsOf(behaviour, workflow),
    status: {
      status_str: 'success',
      completed: true,
      messages: [['execution_success', { prompt_id: id }]],
    },
  };
}

function outputsOf(behaviour: ComfyUiBehaviour, workflow: Workflow) {
  const image = (type: string, index: number) => {
    const filename = `${type}_${String(index + 1).padStart(5, '0')}_.png`;
    return { filename, subfolder: 'foreman', type };
  };
  const previews = { images: [image('temp', 0)] };
  if (behaviour === 'previews-only') return { '8': previews };
  const inputs = Object.values(workflow).map((node) => node.inputs);
  const count = inputs.find(({ batch_size, amount }) => batch_size ?? amount);
  const made = Number(count?.batch_size ?? count?.amount ?? 1);
  const saved = { images: Array.from({ length: made }, (_, index) => image('output', index)) };
  return behaviour === 'with-previews' ? { '8': previews, '9': saved } : { '9': saved };
}
