/** Every tool, in the order in which agents read them. */
import type { Tool } from '../tool';
import { generatingTools } from './generating';
import { imageTools } from './images';
import { modelTools } from './models';
import { requestTools } from './requests';

export const tools: readonly Tool[] = [
  ...generatingTools,
  ...requestTools,
  ...modelTools,
  ...imageTools,
];
