/** Every command with its options, and what `--help` says. */
import { Command } from 'commander';
import { addGenerate } from './commands/generate';
import { addKeys } from './commands/keys';
import { addModels } from './commands/models';
import { addRequests } from './commands/requests';
import { addWebhooks } from './commands/webhooks';
import { exitCodesHelp } from './exit-codes';
import type { Act } from './run';
import { DEFAULT_URL } from './session';

const environmentHelp = `
Environment:
  FOREMAN_URL          where Foreman is (${DEFAULT_URL})
  FOREMAN_API_KEY      your key; \`npm start\` prints one
  FOREMAN_ADMIN_TOKEN  the operator's token, for \`foreman keys\`
  NO_COLOR             no colour, and no preview`;

/** `said` is where commander's own words are put: who runs it decides where they go. */
export function createProgram({
  act,
  version,
  said,
}: {
  readonly act: Act;
  readonly version: string;
  readonly said: { stdout: string; stderr: string };
}): Command {
  const program = new Command('foreman')
    .description('Make images with Foreman, and look after what was asked for.')
    .version(version)
    .option('--url <url>', 'where Foreman is')
    .option('--key <key>', 'your API key')
    .option('--json', 'answers as JSON on stdout, a failure as a JSON problem on stderr')
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut(text) {
        said.stdout += text;
      },
      writeErr(text) {
        said.stderr += text;
      },
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .addHelpText('after', `${environmentHelp}\n${exitCodesHelp}`);
  addGenerate(program, act);
  addRequests(program, act);
  addModels(program, act);
  addKeys(program, act);
  addWebhooks(program, act);
  return program;
}
