/** `foreman webhooks`: endpoints, their secrets, and what was sent to them. */
import type { Command } from 'commander';
import type {
  DeliveryQuery,
  NewWebhookEndpoint,
  Replay,
  WebhookEndpoint,
  WebhookSecretRotation,
} from '../../client/types';
import { type ExitCode, exitCodes } from '../exit-codes';
import { parsing } from '../parsing';
import type { Act } from '../run';
import type { Session } from '../session';
import { listOption, wholeNumberOption } from '../submission';
import { plain } from '../text';
import { renderDeliveries, renderEndpoint, renderEndpoints } from '../webhook-text';

const ID = 'whk_…';

export function addWebhooks(program: Command, act: Act): void {
  const webhooks = program
    .command('webhooks')
    .description('endpoints that are told of what happens, and what was sent to them');
  const one = (name: string, description: string) =>
    webhooks.command(name).description(description).argument('<id>', ID);
  webhooks.command('list').description('list them').action(act(list));
  webhooks
    .command('create')
    .description('register one; its secret is shown this once')
    .argument('<url>', 'https and public; a local server may take http and loopback, too')
    .option(
      '--event <type>',
      'such as request.succeeded; may be repeated (default: all)',
      listOption,
    )
    .option('--description <text>', 'what it is for')
    .option('--idempotency-key <key>', 'the same key again makes no second one')
    .action(act(create));
  one('get', 'show one').action(act(get));
  one('delete', 'end one, with what is on its way to it').action(act(remove));
  one('ping', 'send it an endpoint.ping now').action(act(ping));
  one('enable', 'deliver to it again, if it answers a ping').action(act(enable));
  one('disable', 'deliver nothing to it').action(act(disable));
  one('rotate-secret', 'give it a new secret, shown this once')
    .option(
      '--overlap <seconds>',
      'how long the old one signs too (default: a day)',
      parsing(wholeNumberOption),
    )
    .option('--idempotency-key <key>', 'the same key again makes no second one')
    .action(act(rotateSecret));
  one('deliveries', 'what was sent to it, newest first; `default`: to the URLs of requests')
    .option('--status <status>', 'such as delivered, pending or failed')
    .option('--type <type>', 'such as request.succeeded')
    .option('--limit <count>', 'at most so many (1 to 100)', parsing(wholeNumberOption))
    .action(act(deliveries));
  one('replay', 'send one delivery again, or what never arrived')
    .option('--delivery <id>', 'this one, whatever came of it')
    .option('--from <time>', 'such as 2026-01-31T00:00:00Z')
    .option('--to <time>', 'up to, and not including')
    .option('--include-delivered', 'not only what never arrived')
    .option('--cursor <cursor>', 'of the call before')
    .action(act(replay));
}

async function list(session: Session): Promise<ExitCode> {
  const { output } = session;
  const page = await session.foreman().webhooks.list();
  await output.result({ json: page, text: () => renderEndpoints(page.items, output) });
  return exitCodes.ok;
}

async function create(
  session: Session,
  [url = '']: readonly string[],
  options: {
    readonly event?: readonly string[];
    readonly description?: string;
    readonly idempotencyKey?: string;
  },
): Promise<ExitCode> {
  const { event, description, idempotencyKey } = options;
  const wishes = { url, ...(event && { events: event }), ...(description && { description }) };
  // Which events there are, the server knows: it names the fault.
  const asked = wishes as NewWebhookEndpoint;
  return show(session, await session.foreman().webhooks.create(asked, keyed(idempotencyKey)));
}

async function rotateSecret(
  session: Session,
  [id = '']: readonly string[],
  { overlap, idempotencyKey }: { readonly overlap?: number; readonly idempotencyKey?: string },
): Promise<ExitCode> {
  const wishes = overlap === undefined ? {} : { overlap_seconds: overlap };
  const asked = wishes as WebhookSecretRotation;
  const { webhooks } = session.foreman();
  return show(session, await webhooks.rotateSecret(id, asked, keyed(idempotencyKey)));
}

const keyed = (idempotencyKey: string | undefined) =>
  idempotencyKey === undefined ? {} : { idempotencyKey };

async function get(session: Session, [id = '']: readonly string[]): Promise<ExitCode> {
  return show(session, await session.foreman().webhooks.get(id));
}

async function enable(session: Session, [id = '']: readonly string[]): Promise<ExitCode> {
  return show(session, await session.foreman().webhooks.enable(id));
}

async function disable(session: Session, [id = '']: readonly string[]): Promise<ExitCode> {
  return show(session, await session.foreman().webhooks.disable(id));
}

async function show(
  { output, terminal }: Session,
  endpoint: WebhookEndpoint & { readonly secret?: string },
): Promise<ExitCode> {
  const text = () => renderEndpoint(endpoint, { paint: output.paint, now: terminal.now() });
  await output.result({ json: endpoint, text });
  return exitCodes.ok;
}

async function remove(session: Session, [id = '']: readonly string[]): Promise<ExitCode> {
  await session.foreman().webhooks.delete(id);
  await session.output.result({ json: { id, deleted: true }, text: () => `${id} deleted\n` });
  return exitCodes.ok;
}

/** One that does not answer has failed what was asked. */
async function ping(session: Session, [id = '']: readonly string[]): Promise<ExitCode> {
  const brought = await session.foreman().webhooks.ping(id);
  const { ok, status, duration_ms: ms, error, response } = brought;
  const answer = plain(status === null ? (error ?? 'no answer') : `${status} ${response ?? ''}`);
  const text = () => `${ok ? 'ok' : 'failed'} after ${ms} ms: ${answer}\n`;
  await session.output.result({ json: brought, text });
  return ok ? exitCodes.ok : exitCodes.failed;
}

async function deliveries(
  session: Session,
  [id = '']: readonly string[],
  { status, type, limit }: { status?: string; type?: string; limit?: number },
): Promise<ExitCode> {
  const { output, terminal } = session;
  const query = {
    ...(status === undefined ? {} : { status }),
    ...(type === undefined ? {} : { type }),
    ...(limit === undefined ? {} : { limit }),
  };
  const page = await session.foreman().webhooks.deliveries(id, query as DeliveryQuery);
  const { paint, width } = output;
  const text = () => renderDeliveries(page.items, { paint, width, now: terminal.now() });
  await output.result({ json: page, text });
  return exitCodes.ok;
}

async function replay(
  session: Session,
  [id = '']: readonly string[],
  options: {
    readonly delivery?: string;
    readonly from?: string;
    readonly to?: string;
    readonly includeDelivered?: boolean;
    readonly cursor?: string;
  },
): Promise<ExitCode> {
  const named: Record<string, unknown> = {
    delivery_id: options.delivery,
    from: options.from,
    to: options.to,
    include_delivered: options.includeDelivered,
    cursor: options.cursor,
  };
  const given = Object.entries(named).filter(([, value]) => value !== undefined);
  const brought = await session.foreman().webhooks.replay(id, Object.fromEntries(given) as Replay);
  const { replayed, next_cursor: cursor } = brought;
  const more = cursor === null ? '' : `There are more: --cursor ${plain(cursor)}\n`;
  await session.output.result({
    json: brought,
    text: () => `${replayed} on their way again\n${more}`,
  });
  return exitCodes.ok;
}
