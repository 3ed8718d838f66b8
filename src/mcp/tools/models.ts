/** What there is to make images with. */
import { z } from 'zod';
import { modelSchema, presentModel } from '../../generation/models-view';
import { textBlock } from '../content';
import { tool } from '../tool';

export const modelTools = [
  tool({
    name: 'list_models',
    title: 'List models',
    description:
      'Models to generate and edit images with: sizes, what they can do, what they cost, and why ' +
      'one is not available.',
    annotations: {
      readOnlyHint: true,
      destructiveHint: false,
      idempotentHint: true,
      openWorldHint: false,
    },
    input: z.strictObject({
      id: z.string().max(100).optional().describe('Only this model'),
      include_unavailable: z
        .boolean()
        .default(false)
        .describe('Also those whose providers are not set up'),
    }),
    output: z.object({ items: z.array(modelSchema) }),
    run: async ({ id, include_unavailable: isAll }, { deps: { catalog } }) => {
      const items = catalog.models
        .filter((model) => id === undefined || model.id === id)
        .map((model) => presentModel(model, catalog))
        .filter((model) => isAll || id !== undefined || model.available);
      const lines = items.map((model) => {
        const prices = model.targets.map(({ price }) => price.per_image_usd);
        const image = model.capabilities.input_image;
        const price = `from ${Math.min(...prices)} USD an image`;
        const state = model.available ? price : `not available: ${model.unavailable_reason}`;
        return `${model.id}: ${state}; input image: ${image}`;
      });
      const text = lines.length > 0 ? lines.join('\n') : 'None.';
      return { content: [textBlock(text)], structuredContent: { items } };
    },
  }),
];
