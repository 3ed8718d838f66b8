/** What a style makes of a client's prompts. Pure. */
import { PLACEHOLDER, type Style } from './types';

export interface Prompts {
  readonly prompt: string;
  readonly negative_prompt?: string | undefined;
}

/** Of a template of 2,000 characters around a prompt of 4,000; its placeholder gives way. */
export const MAX_STYLED_PROMPT_CHARS = 6_000;

export function applyStyle(
  style: Pick<Style, 'promptTemplate' | 'negativePrompt'>,
  prompts: Prompts,
): Prompts {
  // A function, as `$&` and the like in a replacement text would be read as patterns.
  const prompt = style.promptTemplate.replace(PLACEHOLDER, () => prompts.prompt);
  const negative = [prompts.negative_prompt, style.negativePrompt].filter(Boolean).join(', ');
  return negative === '' ? { prompt } : { prompt, negative_prompt: negative };
}
