/** `foreman models`. */
import type { Command } from 'commander';
import type { Model } from '../../client/types';
import { type ExitCode, exitCodes } from '../exit-codes';
import type { Act } from '../run';
import type { Session } from '../session';
import { type Column, renderTable } from '../table';
import { usdText } from '../text';

export function addModels(program: Command, act: Act): void {
  program
    .command('models')
    .description('list the models, and why one cannot be used')
    .action(act(models));
}

async function models(session: Session): Promise<ExitCode> {
  const { output } = session;
  const page = await session.foreman().models.list();
  await output.result({ json: page, text: () => renderTable(page.items, columns, output) });
  return exitCodes.ok;
}

const columns: Column<Model>[] = [
  { title: 'MODEL', text: ({ id }) => id },
  {
    title: 'AVAILABLE',
    text: ({ available }) => (available ? 'yes' : 'no'),
    colour: ({ available }) => (available ? 'green' : 'dim'),
  },
  { title: 'FROM', text: priceText },
  {
    title: 'TAKES',
    text: ({ capabilities: { input_image: image, mask } }) =>
      [image === 'none' ? 'text' : `image ${image}`, ...(mask ? ['mask'] : [])].join(', '),
  },
  { title: 'MAKES', text: ({ capabilities }) => capabilities.output_formats.join(' ') },
  {
    title: 'AT',
    text: ({ targets, unavailable_reason: reason }) =>
      reason ?? [...new Set(targets.map(({ provider }) => provider))].join(', '),
    isElastic: true,
  },
];

/** The cheapest of those that can be used, else of all. */
function priceText({ targets }: Model): string {
  const usable = targets.filter(({ available }) => available);
  const prices = (usable.length > 0 ? usable : targets).map(({ price }) => price.per_image_usd);
  return prices.length === 0 ? '–' : usdText(Math.min(...prices));
}
