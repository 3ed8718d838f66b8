/** `foreman keys`: the keys of a user, with the operator's token. */
import type { Command } from 'commander';
import type { IssuedKey, Key, KeyRotation, NewKey } from '../../client/types';
import { type ExitCode, exitCodes } from '../exit-codes';
import type { Paint } from '../paint';
import { parsing } from '../parsing';
import type { Act } from '../run';
import type { Session } from '../session';
import { listOption, wholeNumberOption } from '../submission';
import { type Column, renderFields, renderTable } from '../table';
import { relativeText } from '../times';

interface CreateOptions {
  readonly name: string;
  readonly scope?: readonly string[];
  readonly expiresAt?: string;
}

interface RotateOptions {
  readonly overlap?: number;
  readonly expiresAt?: string;
}

export function addKeys(program: Command, act: Act): void {
  const keys = program
    .command('keys')
    .description("issue, rotate and revoke a user's API keys, with the operator's token")
    .option('--token <token>', "the operator's token (FOREMAN_ADMIN_TOKEN)");
  keys.command('list').argument('<user>', 'usr_…').description('list them').action(act(list));
  keys
    .command('create')
    .argument('<user>', 'usr_…')
    .description('issue one; it is shown this once')
    .requiredOption('--name <name>', 'what it is for')
    .option(
      '--scope <scope>',
      'what it may do; may be repeated (default: to read and write)',
      listOption,
    )
    .option('--expires-at <time>', 'refused from then on, such as 2027-01-31T00:00:00Z')
    .action(act(create));
  keys
    .command('rotate')
    .argument('<user>', 'usr_…')
    .argument('<key>', 'key_…')
    .description('issue one in the place of another, which stays good for a while')
    .option('--overlap <seconds>', 'for how long (default: a day)', parsing(wholeNumberOption))
    .option('--expires-at <time>', 'of the new one (default: as the old one)')
    .action(act(rotate));
  keys
    .command('revoke')
    .argument('<user>', 'usr_…')
    .argument('<key>', 'key_…')
    .description('end one')
    .action(act(revoke));
}

async function list(session: Session, [user = '']: readonly string[]): Promise<ExitCode> {
  const { output, terminal } = session;
  const page = await session.operator().keys.list(user);
  const now = terminal.now();
  const text = () =>
    page.items.length === 0 ? 'No keys.\n' : renderTable(page.items, columns(now), output);
  await output.result({ json: page, text });
  return exitCodes.ok;
}

async function create(
  session: Session,
  [user = '']: readonly string[],
  { name, scope, expiresAt }: CreateOptions,
): Promise<ExitCode> {
  const wishes = {
    name,
    ...(scope && { scopes: scope }),
    ...(expiresAt && { expires_at: expiresAt }),
  };
  // Which scopes there are, the server knows: it names the fault.
  const issued = await session.operator().keys.create(user, wishes as NewKey);
  return show(session, issued);
}

async function rotate(
  session: Session,
  [user = '', key = '']: readonly string[],
  { overlap, expiresAt }: RotateOptions,
): Promise<ExitCode> {
  const wishes: Partial<KeyRotation> = {
    ...(overlap === undefined ? {} : { overlap_seconds: overlap }),
    ...(expiresAt && { expires_at: expiresAt }),
  };
  return show(session, await session.operator().keys.rotate(user, key, wishes as KeyRotation));
}

async function revoke(
  session: Session,
  [user = '', key = '']: readonly string[],
): Promise<ExitCode> {
  await session.operator().keys.revoke(user, key);
  await session.output.result({ json: { id: key, revoked: true }, text: () => `${key} revoked\n` });
  return exitCodes.ok;
}

async function show({ output, terminal }: Session, issued: IssuedKey): Promise<ExitCode> {
  const text = () => renderIssued(issued, { paint: output.paint, now: terminal.now() });
  await output.result({ json: issued, text });
  return exitCodes.ok;
}

const renderIssued = (issued: IssuedKey, { paint, now }: { paint: Paint; now: number }) =>
  renderFields(
    [
      ['id', issued.id],
      ['name', issued.name],
      ['scopes', issued.scopes.join(' ')],
      ['expires', issued.expires_at && relativeText(issued.expires_at, now)],
      ['replaces', issued.replaces],
      ['key', issued.key, 'bold'],
      ['', 'Keep it: it is not shown again.', 'yellow'],
    ],
    paint,
  );

const columns = (now: number): Column<Key>[] => [
  { title: 'ID', text: ({ id }) => id },
  {
    title: 'STATUS',
    text: (key) => statusOf(key, now),
    colour: (key) => (statusOf(key, now) === 'active' ? 'green' : 'dim'),
  },
  { title: 'CREATED', text: ({ created_at: at }) => relativeText(at, now) },
  { title: 'EXPIRES', text: ({ expires_at: at }) => relativeText(at, now) },
  { title: 'LAST USED', text: ({ last_used_at: at }) => relativeText(at, now) },
  { title: 'NAME', text: ({ name }) => name, isElastic: true },
  { title: 'SCOPES', text: ({ scopes }) => scopes.join(' '), isElastic: true },
];

function statusOf({ revoked_at: revokedAt, expires_at: expiresAt }: Key, now: number): string {
  if (revokedAt !== null) return 'revoked';
  return expiresAt !== null && Date.parse(expiresAt) <= now ? 'expired' : 'active';
}
