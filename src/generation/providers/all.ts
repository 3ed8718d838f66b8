/** Every provider there is, one line each. */
export { automatic1111 } from './automatic1111';
export { bfl } from './bfl';
export { chaos } from './chaos';
export { comfyui } from './comfyui';
export { compatible } from './compatible';
export { deepinfra } from './deepinfra';
export { fal } from './fal';
export { fireworks } from './fireworks';
export { google } from './google';
export { kserve } from './kserve';
export { openai } from './openai';
export { replicate } from './replicate';
export { sketch } from './sketch';
export { stability } from './stability';
export { together } from './together';
export { workersAi } from './workers-ai';
export { xai } from './xai';
