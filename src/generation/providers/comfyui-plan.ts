/** What is sent of a job to ComfyUI, decided beforehand: the workflow, and the files it needs. */
import type { JsonObject } from '../../platform/json';
import {
  builtInWorkflow,
  fillTemplate,
  placeholdersIn,
  readTemplate,
  type Tuning,
  usualTuning,
  valuesOf,
  type Workflow,
} from './comfyui-workflow';
import { warningsOf } from './jobs';
import type { ProviderJob } from './provider';

export interface Plan {
  readonly ok: true;
  /** Inputs to be uploaded. */
  readonly needs: { readonly image: boolean; readonly mask: boolean };
  /** Whether the seed has an effect, and so can be told of the images. */
  readonly isSeeded: boolean;
  build(made: Made): Workflow;
  readonly warnings: readonly string[];
}

interface Made {
  /** Of the job: its own folder of results. */
  readonly id: string;
  /** Where the job names none. */
  readonly seed: number;
  /** Names of the uploaded files. */
  readonly image: string | null;
  readonly mask: string | null;
}

/** The request cannot be sent as it is. */
interface Fault {
  readonly ok: false;
  readonly message: string;
}

/** `allowsWorkflows`: a whole workflow of the client's is run, whatever its nodes do on the server. */
export function planFor(
  provider: string,
  job: ProviderJob,
  { allowsWorkflows }: { readonly allowsWorkflows: boolean },
): Plan | Fault {
  if (!allowsWorkflows) return builtInPlan(provider, job, job.options);
  const { workflow, ...options } = job.options;
  if (workflow === undefined || workflow === null) return builtInPlan(provider, job, options);
  const template = readTemplate(workflow);
  if (!template) {
    return { ok: false, message: 'provider_options.comfyui.workflow is no workflow in API format' };
  }
  return templatePlan(provider, job, { template, options });
}

function builtInPlan(provider: string, job: ProviderJob, options: JsonObject): Plan {
  const { tuning, ignored } = readTuning(options);
  const fields: readonly [field: string, isIgnored: boolean][] = [
    ['aspect_ratio', job.aspectRatio !== null && job.size === null],
    ['output_format', hasOtherFormat(job)],
  ];
  return {
    ok: true,
    needs: { image: job.image !== null, mask: job.mask !== null },
    isSeeded: true,
    build: ({ id, ...made }) =>
      builtInWorkflow({
        values: valuesOf(job, made),
        isScaled: job.size !== null,
        tuning,
        folder: folderOf(id),
      }),
    warnings: warningsOf(provider, { fields: namesOf(fields), options: ignored }),
  };
}

function templatePlan(
  provider: string,
  job: ProviderJob,
  of: { readonly template: Workflow; readonly options: JsonObject },
): Plan | Fault {
  const used = placeholdersIn(of.template);
  const needs = { image: used.has('image'), mask: used.has('mask') };
  for (const name of ['image', 'mask'] as const) {
    if (needs[name] && job[name] === null) {
      return { ok: false, message: `the workflow has a placeholder for ${name}, the request none` };
    }
  }
  const isSized = used.has('width') || used.has('height');
  const fields: readonly [field: string, isIgnored: boolean][] = [
    ['prompt', !used.has('prompt')],
    ['negative_prompt', job.negativePrompt !== null && !used.has('negative_prompt')],
    ['n', job.n > 1 && !used.has('n')],
    ['size', job.size !== null && job.aspectRatio === null && !isSized],
    ['aspect_ratio', job.aspectRatio !== null && (job.size === null || !isSized)],
    ['seed', job.seed !== null && !used.has('seed')],
    ['steps', job.steps !== null && !used.has('steps')],
    ['guidance_scale', job.guidanceScale !== null && !used.has('guidance_scale')],
    ['output_format', hasOtherFormat(job)],
    ['image', job.image !== null && !needs.image],
    ['mask', job.mask !== null && !needs.mask],
    ['strength', job.strength !== null && !used.has('strength')],
  ];
  return {
    ok: true,
    needs,
    isSeeded: used.has('seed'),
    build: (made) => fillTemplate(of.template, valuesOf(job, made)),
    warnings: warningsOf(provider, { fields: namesOf(fields), options: Object.keys(of.options) }),
  };
}

function readTuning(options: JsonObject) {
  const tuning = { ...usualTuning };
  const ignored: string[] = [];
  for (const [name, value] of Object.entries(options)) {
    if (isTuning(name) && typeof value === 'string') tuning[name] = value;
    else ignored.push(name);
  }
  return { tuning, ignored };
}

const isTuning = (name: string): name is keyof Tuning => Object.hasOwn(usualTuning, name);

/** SaveImage makes PNG. */
const hasOtherFormat = ({ outputFormat }: ProviderJob) =>
  outputFormat !== null && outputFormat !== 'png';

const folderOf = (id: string) => `foreman/${id}`;

const namesOf = (fields: readonly (readonly [field: string, isIgnored: boolean])[]) =>
  fields.filter(([, isIgnored]) => isIgnored).map(([field]) => field);
