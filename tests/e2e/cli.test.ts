/** `foreman` as it is installed: real processes, a real server, a real terminal. */
import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FakeOpenAi, startFakeOpenAi } from '../support/fake-openai.ts';
import type { Image, RequestView } from './support/api.ts';
import { buildCommandLine, type CommandLine, type Ended } from './support/command-line.ts';
import { type Receiver, startReceiver } from './support/receiver.ts';
import { type Server, startServer, type User } from './support/server.ts';
import { until } from './support/until.ts';

const ESCAPE = '\u001b';
const SMALL = ['--model', 'sketch', '--width', '64', '--height', '64'];

let server: Server;
let user: User;
let fake: FakeOpenAi;
let receiver: Receiver;
let foreman: CommandLine;

beforeAll(async () => {
  [fake, receiver] = await Promise.all([startFakeOpenAi(), startReceiver()]);
  foreman = await buildCommandLine(startForeman());
});

async function startForeman(): Promise<Record<string, string>> {
  server = await startServer({ OPENAI_API_KEY: 'e2e', OPENAI_BASE_URL: fake.baseUrl });
  user = await server.createUser();
  return {
    FOREMAN_URL: server.origin,
    FOREMAN_API_KEY: user.api.key,
    FOREMAN_ADMIN_TOKEN: server.admin.key,
  };
}

afterAll(async () => {
  await server?.close();
  await Promise.all([fake?.close(), receiver?.close(), foreman?.close()]);
});

const text = ({ stdout }: Ended) => stdout.toString();
const json = <Body = RequestView>(ended: Ended): Body => {
  expect([ended.code, ended.stderr]).toEqual([0, '']);
  return JSON.parse(text(ended)) as Body;
};
const problemOf = (ended: Ended) => {
  expect(text(ended)).toBe('');
  return JSON.parse(ended.stderr) as Record<string, unknown>;
};
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const generate = (...words: string[]) => foreman.run(['generate', 'a boat', ...words]);
const generated = async (...words: string[]) => json(await generate(...SMALL, '--json', ...words));
const inFolder = (name: string) => join(foreman.folder, name);

// None of these asks the fake, which is looked at between those that follow.
describe.concurrent('every command', () => {
  it('answers in lines, without colour where there is no terminal', async () => {
    const { id } = await generated();
    const commands: [words: string[], said: RegExp][] = [
      [['generate', 'a boat', ...SMALL], /img_\S+ {2}64×64 image\/png .*\n {2}http/],
      [['generate', 'a boat', ...SMALL, '--no-wait'], /status +(queued|running)/],
      [['list', '--limit', '2', '--status', 'succeeded'], /^ID .*\nreq_/],
      [['list', '--all', '--json'], new RegExp(`^({.*}\n)*{.*"${id}".*}\n({.*}\n)*$`)],
      [['get', id, '--wait'], new RegExp(`request +${id}[^]*sketch/sketch +succeeded`)],
      [['cancel', id], new RegExp(`^${id} succeeded\n$`)],
      [['models'], /\nsketch +yes/],
      [['webhooks', 'list'], /^No endpoints\.\n$/],
      [['keys', 'list', user.id], new RegExp(`\n${user.keyId} +active`)],
    ];
    await Promise.all(
      commands.map(async ([words, said]) => {
        const lines = await foreman.run(words);
        const about = [0, expect.stringMatching(said)];
        expect([lines.code, text(lines)], words.join(' ')).toEqual(about);
        expect(text(lines)).not.toContain(ESCAPE);
      }),
    );
  });

  it('looks after webhook endpoints', async () => {
    const url = receiver.url('/cli');
    const { api } = await server.createUser();
    const asThisUser = { FOREMAN_API_KEY: api.key };
    const hooks = (...words: string[]) => foreman.run(['webhooks', ...words], asThisUser);
    const created = await hooks('create', url, '--event', 'request.*', '--json');
    const { id, secret, events } = json<{ id: string; secret: string; events: string[] }>(created);
    expect([secret, events]).toEqual([expect.stringMatching(/^whsec_/), ['request.*']]);
    receiver.trust(secret);
    const rotated = await hooks('rotate-secret', id, '--overlap', '60');
    expect(text(rotated)).toMatch(/secret +whsec_/);
    expect(text(rotated)).not.toContain(secret);
    expect(text(await hooks('ping', id))).toMatch(/^ok after \d+ ms: 2\d\d/);
    expect(text(await hooks('disable', id))).toMatch(/status +disabled/);
    expect(json(await hooks('enable', id, '--json'))).toMatchObject({ status: 'active' });
    const words = ['generate', 'a boat', ...SMALL, '--json'];
    const told = json(await foreman.run(words, asThisUser));
    await until('it is told', () => receiver.accepted(told.id).length >= 3);
    const log = await hooks('deliveries', id, '--type', 'request.succeeded');
    const delivery = /\n(\S+) +delivered/.exec(text(log))?.[1] ?? '';
    expect(text(await hooks('replay', id, '--delivery', delivery))).toBe('1 on their way again\n');
  });
});

describe.concurrent('what is saved', () => {
  it('has the bytes that the API has, under the name that fits, and replaces nothing', async () => {
    const [one, several] = await Promise.all([
      generated('--out', inFolder('one')),
      generated('-n', '3', '--out', inFolder('several.png')),
    ]);
    const [stdout, again] = await Promise.all([
      foreman.run(['get', one.id, '--out', '-']),
      foreman.run(['get', one.id, '--out', `${inFolder('new')}/`]),
    ]);
    const [image] = one.images as [Image];
    const bytes = Buffer.from(await (await user.api.fetch(image.url)).arrayBuffer());
    expect(stdout.stdout.equals(bytes)).toBe(true);
    expect((await readFile(inFolder('one.png'))).equals(bytes)).toBe(true);
    expect(text(again)).toContain(inFolder(`new/${image.id}.png`));
    expect((await readFile(inFolder(`new/${image.id}.png`))).equals(bytes)).toBe(true);
    const saved = several.images.map((_, index) => inFolder(`several-${index + 1}.png`));
    expect(several).toHaveProperty('files', saved);
    const hashes = await Promise.all(saved.map(async (path) => sha256(await readFile(path))));
    expect(hashes).toEqual(several.images.map((each) => each.sha256));

    const before = fake.calls.length;
    const refused = await generate('--model', 'gpt-image-1', '--out', inFolder('one.png'));
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('--force')]);
    expect(fake.calls).toHaveLength(before);
    const forced = await generated('--seed', '7', '--out', inFolder('one.png'), '--force');
    expect(sha256(await readFile(inFolder('one.png')))).toBe(forced.images[0]?.sha256);
    const folders = await Promise.all([readdir(foreman.folder), readdir(inFolder('new'))]);
    expect(folders.flat().filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  it('is saved though nobody listens any more, and a full disk is a failure in a line', async () => {
    const { id } = await generated();
    const words = ['generate', 'a boat', ...SMALL, '--out', inFolder('heard.png')];
    const [heard, full, device] = await Promise.all([
      foreman.inShell(words, '2>&1 | head -1'),
      foreman.inShell(['models'], '> /dev/full'),
      foreman.run(['get', id, '--out', '/dev/full']),
    ]);
    expect(text(heard)).toMatch(/^Request req_\w+\n$/);
    expect([device.code, device.stderr]).toEqual([1, expect.stringContaining('ENOSPC')]);
    expect(await readdir('/dev')).not.toContain('full.png');
    expect((await readFile(inFolder('heard.png'))).length).toBeGreaterThan(0);
    expect([full.code, full.stderr]).toEqual([1, expect.stringMatching(/^error: ENOSPC.*\n$/)]);
  });
});

describe.concurrent('on a terminal', () => {
  it.each([
    ['half blocks', {}, '▄'],
    ['the protocol of kitty', { KITTY_WINDOW_ID: '1' }, `${ESCAPE}_Gf=100`],
    ['the protocol of iTerm', { TERM_PROGRAM: 'iTerm.app' }, `${ESCAPE}]1337;File=inline=1`],
  ])('progress is redrawn in place, and the picture shown by %s', async (_, terminal, picture) => {
    const words = ['generate', 'a boat', '--model', 'sketch'];
    const ended = await foreman.onTerminal(words, terminal);
    const shown = text(ended);
    expect(ended.code, shown).toBe(0);
    expect(shown).toContain(`\r${ESCAPE}[2K`);
    expect(shown).toMatch(/running.* · attempt 1 at sketch\/sketch · \d/);
    expect(shown).toContain(picture);
    expect(shown.indexOf(picture)).toBeGreaterThan(shown.lastIndexOf(`${ESCAPE}[2K`));
  });

  it('there is no picture and no colour for who does not want them', async () => {
    const { id } = await generated();
    const ended = await Promise.all([
      foreman.onTerminal(['get', id, '--no-preview']),
      foreman.onTerminal(['get', id], { NO_COLOR: '1' }),
    ]);
    expect(ended.map((each) => text(each).includes('▄'))).toEqual([false, false]);
    expect(ended.map((each) => text(each).includes(ESCAPE))).toEqual([true, false]);
  });
});

describe.concurrent('the exit code', () => {
  it('says what kind of failure it was, and stderr the rest', async () => {
    const cases: [words: string[], environment: Record<string, string>, number, string][] = [
      [['generate', 'x', '--model', 'chaos-refuse-input'], {}, 1, 'content_refused'],
      [['generate', 'x', '--n', 'two'], {}, 2, 'usage'],
      [['list'], { FOREMAN_API_KEY: 'fm_wrong' }, 3, 'unauthorized'],
      [['get', 'req_nope'], {}, 4, 'not_found'],
      [['list', '--url', 'http://127.0.0.1:1'], {}, 5, 'connection_failed'],
    ];
    await Promise.all(
      cases.map(async ([words, environment, exitCode, code]) => {
        const ended = await foreman.run([...words, '--json'], environment);
        const about = [ended.code, problemOf(ended).code];
        expect(about, words.join(' ')).toEqual([exitCode, code]);
      }),
    );
    const [help, version] = await Promise.all([
      foreman.run(['--help']),
      foreman.run(['--version']),
    ]);
    expect([help.code, text(help)]).toEqual([0, expect.stringContaining('Exit codes:')]);
    expect(text(version)).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('an image to start from', () => {
  it('may be a file of yours', async () => {
    await writeFile(inFolder('text.png'), 'no image');
    const [{ images }, ...refused] = await Promise.all([
      generated('--out', inFolder('start.png')),
      generate('--image', inFolder('text.png')),
      generate('--image', inFolder('nowhere.png')),
    ]);
    expect(refused.map(({ code }) => code)).toEqual([2, 2]);
    const words = ['--model', 'gpt-image-1', '--image', inFolder('start.png'), '--json'];
    const { input } = json(await generate(...words));
    expect(input).toMatchObject({ image: expect.stringContaining(images[0]?.sha256 ?? '?') });
  });
});

describe('whoever goes before the end', () => {
  const wait = (...words: string[]) =>
    foreman.start(['generate', 'a boat', '--model', 'gpt-image-1', ...words]);
  const idIn = ({ stderr }: { readonly stderr: string }) => /req_\w+/.exec(stderr)?.[0] ?? '';

  it('by Ctrl-C cancels the request', async () => {
    fake.queue({ mode: 'hang' });
    const running = wait();
    await running.said('running');
    running.child.kill('SIGINT');
    const ended = await running.ended;
    expect([ended.code, text(ended)]).toEqual([130, '']);
    expect(ended.stderr).toContain(`${idIn(ended)} ended as canceled`);
    expect((await user.api.read(idIn(ended))).status).toBe('canceled');
  });

  it('by Ctrl-C with --no-cancel leaves it, and is told how to collect it', async () => {
    fake.queue({ mode: 'ok', delayMs: 1_000 });
    const running = wait('--no-cancel');
    await running.said('running');
    running.child.kill('SIGINT');
    const ended = await running.ended;
    expect(ended.code).toBe(130);
    expect(ended.stderr).toContain(`foreman get ${idIn(ended)} --wait`);
    const collected = await foreman.run(['get', idIn(ended), '--wait', '--json']);
    expect(json(collected).status).toBe('succeeded');
  });

  it('by kill -9 was told beforehand how to collect it: the same result, billed once', async () => {
    fake.queue({ mode: 'ok', delayMs: 1_500 });
    const before = fake.billed();
    const running = wait('--metadata', 'k=a "b"');
    await running.said('running');
    running.child.kill('SIGKILL');
    const ended = await running.ended;
    const key = /--idempotency-key (\S+)/.exec(ended.stderr)?.[1] ?? '';
    const words = ['--metadata', 'k=a "b"', '--idempotency-key', key, '--json'];
    const collected = await wait(...words).ended;
    expect(json(collected)).toMatchObject({ id: idIn(ended), status: 'succeeded' });
    expect(json(await wait(...words).ended)).toMatchObject({ id: idIn(ended) });
    expect(fake.billed() - before).toBe(1);
  });
});
