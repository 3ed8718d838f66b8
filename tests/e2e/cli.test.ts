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
  server = await startServer({ OPENAI_API_KEY: 'e2e', OPENAI_BASE_URL: fake.baseUrl });
  user = await server.createUser();
  foreman = await buildCommandLine({
    FOREMAN_URL: server.origin,
    FOREMAN_API_KEY: user.api.key,
    FOREMAN_ADMIN_TOKEN: server.admin.key,
  });
});

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

describe('every command', () => {
  it('answers a person in lines and a program in JSON, and the rest of stdout is empty', async () => {
    const { id } = await generated();
    const commands: [words: string[], said: RegExp, member: string][] = [
      [['generate', 'a boat', ...SMALL], /img_\S+ {2}64×64 image\/png .*\n {2}http/, 'images'],
      [['generate', 'a boat', ...SMALL, '--no-wait'], /status +(queued|running)/, 'urls'],
      [['list', '--limit', '2', '--status', 'succeeded'], /^ID .*\nreq_/, 'items'],
      [['get', id], new RegExp(`request +${id}[^]*sketch/sketch +succeeded`), 'attempts'],
      [['get', id, '--wait'], /status +succeeded/, 'attempts'],
      [['cancel', id], new RegExp(`^${id} succeeded\n$`), 'attempts'],
      [['models'], /\nsketch +yes/, 'items'],
      [['webhooks', 'list'], /^No endpoints\.\n$/, 'items'],
      [['keys', 'list', user.id], new RegExp(`\n${user.keyId} +active`), 'items'],
    ];
    await Promise.all(
      commands.map(async ([words, said, member]) => {
        const [lines, document] = await Promise.all([
          foreman.run(words),
          foreman.run([...words, '--json']),
        ]);
        expect([lines.code, text(lines)], words.join(' ')).toEqual([
          0,
          expect.stringMatching(said),
        ]);
        expect(text(lines)).not.toContain(ESCAPE);
        expect(json<Record<string, unknown>>(document), words.join(' ')).toHaveProperty(member);
      }),
    );
    const all = await foreman.run(['list', '--all', '--json']);
    const lines = text(all).trimEnd().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as RequestView).id)).toContain(id);
  });

  it('looks after webhook endpoints', async () => {
    const url = receiver.url('/cli');
    const created = await foreman.run([
      'webhooks',
      'create',
      url,
      '--event',
      'request.*',
      '--json',
    ]);
    const { id, secret, events } = json<{ id: string; secret: string; events: string[] }>(created);
    expect([secret, events]).toEqual([expect.stringMatching(/^whsec_/), ['request.*']]);
    receiver.trust(secret);
    const hooks = (...words: string[]) => foreman.run(['webhooks', ...words]);
    const rotated = await hooks('rotate-secret', id, '--overlap', '60');
    expect(text(rotated)).toMatch(/secret +whsec_/);
    expect(text(rotated)).not.toContain(secret);
    expect(text(await hooks('ping', id))).toMatch(/^ok after \d+ ms: 2\d\d/);
    expect(text(await hooks('disable', id))).toMatch(/status +disabled/);
    expect(json(await hooks('enable', id, '--json'))).toMatchObject({ status: 'active' });
    const told = await generated();
    await until('it is told', () => receiver.accepted(told.id).length >= 3);
    const log = json<{ items: { id: string }[] }>(
      await hooks('deliveries', id, '--type', 'request.succeeded', '--json'),
    );
    const delivery = log.items[0]?.id ?? '';
    expect(text(await hooks('deliveries', id))).toContain(delivery);
    expect(text(await hooks('replay', id, '--delivery', delivery))).toBe('1 on their way again\n');
    expect(text(await hooks('get', id))).toContain(url);
    expect(json(await hooks('delete', id, '--json'))).toEqual({ id, deleted: true });
    expect((await hooks('get', id)).code).toBe(4);
  });

  it("looks after keys with the operator's token", async () => {
    const keys = (...words: string[]) => foreman.run(['keys', ...words]);
    const made = await keys(
      'create',
      user.id,
      '--name',
      'ci',
      '--scope',
      'requests:read',
      '--json',
    );
    const issued = json<{ id: string; key: string }>(made);
    const asThisKey = { FOREMAN_API_KEY: issued.key };
    expect((await foreman.run(['list'], asThisKey)).code).toBe(0);
    expect((await foreman.run(['generate', 'x', ...SMALL], asThisKey)).code).toBe(3);
    const rotated = await keys('rotate', user.id, issued.id, '--overlap', '0');
    expect(text(rotated)).toMatch(/key +fm_\S+\n/);
    expect(text(rotated)).toMatch(new RegExp(`replaces +${issued.id}`));
    const next = /id +(key_\S+)/.exec(text(rotated))?.[1] ?? '';
    expect(text(await keys('revoke', user.id, next))).toBe(`${next} revoked\n`);
    expect(text(await keys('list', user.id))).toMatch(new RegExp(`${next} +revoked`));
  });
});

describe('what is saved', () => {
  it('has the bytes that the API has, under the name that fits, and replaces nothing', async () => {
    const one = await generated('--out', inFolder('one'));
    const several = await generated('-n', '3', '--out', inFolder('several.png'));
    const stdout = await foreman.run(['get', one.id, '--out', '-']);
    const again = await foreman.run(['get', one.id, '--out', `${inFolder('new')}/`]);
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
    expect((await readdir(foreman.folder)).filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  it('may have begun as a file of yours', async () => {
    const { images } = await generated('--out', inFolder('start.png'));
    const words = ['--model', 'gpt-image-1', '--image', inFolder('start.png'), '--json'];
    const { input } = json(await generate(...words));
    expect(input).toMatchObject({ image: expect.stringContaining(images[0]?.sha256 ?? '?') });
    await writeFile(inFolder('text.png'), 'no image');
    expect((await generate('--image', inFolder('text.png'))).code).toBe(2);
    expect((await generate('--image', inFolder('nowhere.png'))).code).toBe(2);
  });
});

describe('on a terminal', () => {
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

describe('the exit code', () => {
  it('says what kind of failure it was, and stderr the rest', async () => {
    const cases: [words: string[], environment: Record<string, string>, number, string][] = [
      [['generate', 'x', '--model', 'chaos-refuse-input'], {}, 1, 'content_refused'],
      [['generate', 'x', '--model', 'nope'], {}, 2, 'unknown_model'],
      [['generate'], {}, 2, 'usage'],
      [['generate', 'x', '--n', 'two'], {}, 2, 'usage'],
      [['webhooks'], {}, 2, 'usage'],
      [['list'], { FOREMAN_API_KEY: '' }, 3, 'no_credential'],
      [['list'], { FOREMAN_API_KEY: 'fm_wrong' }, 3, 'unauthorized'],
      [['keys', 'list', user.id, '--token', 'wrong'], {}, 3, 'unauthorized'],
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
    const keyless = await foreman.run(['list'], { FOREMAN_API_KEY: '' });
    expect([keyless.code, text(keyless)]).toEqual([3, '']);
    expect(keyless.stderr).toMatch(/^error: No API key: set FOREMAN_API_KEY or give --key/);
    const groping = await foreman.run(['webhooks']);
    expect([groping.code, text(groping)]).toEqual([2, '']);
    expect(groping.stderr).toMatch(/^Usage: foreman webhooks/);
    const help = await foreman.run(['--help']);
    expect([help.code, text(help)]).toEqual([0, expect.stringContaining('Exit codes:')]);
    expect(text(await foreman.run(['--version']))).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});
