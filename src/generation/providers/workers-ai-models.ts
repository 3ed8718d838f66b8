/** How each family of models is asked. Source: the schemas in Cloudflare's model catalogue. */
import type { Json } from '../../platform/json';
import type { OutputFormat } from '../types';
import type { Place } from './direct';
import { base64Of } from './jobs';
import type { InputImage, ProviderJob } from './provider';

export interface Places {
  readonly texts: readonly Place<Json>[];
  readonly files: readonly Place<InputImage>[];
  /** Inputs go as a multipart form. */
  readonly isForm: boolean;
  /** What it makes, which nothing can change; null when its schema does not say. */
  readonly format: OutputFormat | null;
}

export function placesFor(job: ProviderJob): Places {
  if (job.model.startsWith('@cf/black-forest-labs/flux-1-')) return flux1(job);
  if (job.model.startsWith('@cf/black-forest-labs/flux-2-')) return flux2(job);
  if (job.model.startsWith('@cf/leonardo/')) return leonardo(job);
  return stableDiffusion(job);
}

const flux1 = (job: ProviderJob): Places => ({
  texts: [
    ['seed', 'seed', job.seed],
    ['steps', 'steps', job.steps],
  ],
  files: [],
  isForm: false,
  format: 'jpeg',
});

const flux2 = (job: ProviderJob): Places => ({
  texts: [
    ...sizeOf(job),
    ['seed', 'seed', job.seed],
    ['guidance_scale', 'guidance', job.guidanceScale],
    // The distilled ones have a fixed number of steps.
    ['steps', 'steps', job.model.includes('klein') ? null : job.steps],
  ],
  files: [['image', 'input_image_0', job.image]],
  isForm: true,
  format: null,
});

const leonardo = (job: ProviderJob): Places => ({
  texts: [
    ...sizeOf(job),
    ['seed', 'seed', job.seed],
    ['guidance_scale', 'guidance', job.guidanceScale],
    ['steps', 'num_steps', job.steps],
    [
      'negative_prompt',
      'negative_prompt',
      job.model.includes('phoenix') ? job.negativePrompt : null,
    ],
  ],
  files: [],
  isForm: false,
  format: job.model.includes('phoenix') ? 'jpeg' : null,
});

const stableDiffusion = (job: ProviderJob): Places => {
  const takesImage = /img2img|inpainting/.test(job.model);
  const image = takesImage ? job.image : null;
  const mask = job.model.includes('inpainting') ? job.mask : null;
  return {
    texts: [
      ...sizeOf(job),
      ['negative_prompt', 'negative_prompt', job.negativePrompt],
      ['seed', 'seed', job.seed],
      ['guidance_scale', 'guidance', job.guidanceScale],
      ['steps', 'num_steps', job.steps],
      ['image', 'image_b64', image && base64Of(image)],
      // A file as a list of numbers: a mask has no other form.
      ['mask', 'mask', mask && [...mask.bytes]],
      ['strength', 'strength', image && job.strength],
    ],
    files: [],
    isForm: false,
    format: 'png',
  };
};

const sizeOf = ({ size }: ProviderJob): Place<Json>[] => [
  ['size', 'width', size?.width],
  ['size', 'height', size?.height],
];
