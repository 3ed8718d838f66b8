/** One command line from its words to its exit code. The only place where failures are explained. */
import { type Command, CommanderError } from 'commander';
import { type ExitCode, exitCodes } from './exit-codes';
import { type Fault, faultOf, renderFault, UsageError } from './fault';
import { createOutput } from './output';
import { createPaint } from './paint';
import { createProgram } from './program';
import {
  createSession,
  type GlobalOptions,
  type Session,
  type SituationSoFar,
  urlOf,
} from './session';
import { hasColour, type Terminal } from './terminal';
import { jsonText } from './text';

type Work<Options> = (
  session: Session,
  words: readonly string[],
  options: Options,
) => Promise<ExitCode>;

/** A command's work as commander calls it. */
export type Act = <Options>(work: Work<Options>) => (...given: unknown[]) => Promise<void>;

/** Never throws. */
export async function run(
  words: readonly string[],
  {
    terminal,
    version,
    fetch,
  }: {
    readonly terminal: Terminal;
    readonly version: string;
    readonly fetch?: typeof globalThis.fetch;
  },
): Promise<ExitCode> {
  const situation: SituationSoFar = { url: urlOf({}, terminal.env), collectBy: [] };
  let exitCode: ExitCode = exitCodes.ok;
  const act: Act =
    (work) =>
    async (...given) => {
      const command = commandOf(given);
      const options = command.optsWithGlobals<GlobalOptions>();
      situation.url = urlOf(options, terminal.env);
      situation.command = nameOf(command);
      const output = createOutput(terminal, options.json === true);
      const session = createSession({ terminal, output, words, options, situation, fetch });
      exitCode = await work(session, command.args, optionsOf(command));
    };
  const said = { stdout: '', stderr: '' };
  const program = createProgram({ act, version, said });
  try {
    await program.parseAsync([...words], { from: 'user' });
  } catch (error) {
    if (isDone(error)) {
      await terminal.stdout.write(said.stdout);
      return exitCodes.ok;
    }
    // Commander may have failed before it came to this option.
    const isJson = words.includes('--json');
    if (isHelp(error) && !isJson) {
      await terminal.stderr.write(said.stderr);
      return exitCodes.usage;
    }
    const help = error instanceof CommanderError ? helpFor(words, program) : undefined;
    const fault = faultOf(isHelp(error) ? new UsageError('Which command?') : ownWords(error), {
      ...situation,
      help,
    });
    await tell(fault, terminal, { isJson });
    return fault.exitCode;
  }
  return exitCode;
}

/** Commander hands over the arguments, the options, and last the command itself. */
const commandOf = (given: readonly unknown[]) => given.at(-1) as Command;

/** `webhooks` of `foreman webhooks ping`. */
const nameOf = (command: Command): string =>
  command.parent?.parent ? nameOf(command.parent) : command.name();

/** For who has mistaken a command, or its options. */
function helpFor(words: readonly string[], program: Command): string {
  const first = words.find((word) => !word.startsWith('-'));
  const known = program.commands.find((command) => command.name() === first);
  return `\`foreman ${known === undefined ? '' : `${known.name()} `}--help\` shows what there is.`;
}

/** Each command declares its options right beside the type that it reads them by. */
const optionsOf = <Options>(command: Command) => command.opts() as Options;

/** Help and version that were asked for. */
const isDone = (error: unknown) => error instanceof CommanderError && error.exitCode === 0;

/** What commander has found wrong, without the word that begins every failure here. */
const ownWords = (error: unknown) =>
  error instanceof CommanderError ? new UsageError(error.message.replace(/^error: /, '')) : error;

/** It was called without a command, or without one that a group of commands needs. */
const isHelp = (error: unknown) =>
  error instanceof CommanderError && error.code.startsWith('commander.help');

async function tell(
  fault: Fault,
  { stderr, env }: Terminal,
  { isJson }: { readonly isJson: boolean },
): Promise<void> {
  const text = isJson
    ? `${jsonText(fault.problem, 2)}\n`
    : renderFault(fault, createPaint(hasColour(stderr, env)));
  // Nobody reads it any more.
  await stderr.write(text).catch(() => {});
}
