// Command lines against the Worker itself, with a terminal that only remembers.
import { exports } from 'cloudflare:workers';
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { run } from '../../src/cli/run';
import type { ForemanRequest } from '../../src/client/types';
import {
  ADMIN,
  type Client,
  held,
  image,
  newClient,
  ORIGIN,
  openai,
  useWorld,
} from '../journeys/support';
import { Exited, type FakeTerminal, fakeTerminal } from './support';

useWorld();

const SMALL = ['--model', 'sketch', '--width', '64', '--height', '64'];
const TOKEN = ADMIN.authorization.replace('Bearer ', '');

interface Called {
  readonly terminal: FakeTerminal;
  readonly ended: Promise<number>;
}

function call(
  client: Pick<Client, 'key'>,
  words: string[],
  {
    isTTY = false,
    env = {},
    input = '',
  }: { isTTY?: boolean; env?: Record<string, string>; input?: string } = {},
): Called {
  const terminal = fakeTerminal({
    isTTY,
    input,
    now: () => Date.now(),
    env: { FOREMAN_URL: ORIGIN, FOREMAN_API_KEY: client.key, FOREMAN_ADMIN_TOKEN: TOKEN, ...env },
  });
  const fetch = (input: RequestInfo | URL, init?: RequestInit) =>
    exports.default.fetch(new Request(input, init));
  return { terminal, ended: run(words, { terminal, version: '1.2.3', fetch }) };
}

const ran = async (...given: Parameters<typeof call>) => {
  const { terminal, ended } = call(...given);
  return { code: await ended, terminal, ...terminal.said };
};

const folder = () => mkdtemp(join(tmpdir(), 'cli-'));

describe('generate', () => {
  it('brings images into files, the whole of them or none', async () => {
    const client = await newClient();
    const into = await folder();
    const words = ['generate', 'a boat', ...SMALL, '-n', '2', '--out', `${into}/`, '--json'];
    const { code, stdout, stderr } = await ran(client, words);
    expect([code, stderr]).toEqual([0, '']);
    const { images, files } = JSON.parse(stdout) as ForemanRequest & { files: string[] };
    expect(files).toEqual(images.map(({ id }) => join(into, `${id}.png`)));
    const sizes = await Promise.all(files.map(async (path) => (await readFile(path)).length));
    expect(sizes).toEqual(images.map(({ bytes }) => bytes));
    expect(await readdir(into)).toHaveLength(2);

    const again = await ran(client, ['get', `req_${idOf(images[0]?.id)}`, '--out', `${into}/`]);
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('--force')]);
    expect(await readdir(into)).toHaveLength(2);
  });

  it('shows the picture on a terminal that can, and does well where there is none to show', async () => {
    const client = await newClient();
    const shown = { isTTY: true, env: { LC_TERMINAL: 'iTerm2' } };
    const drawn = await ran(client, ['generate', 'a boat', ...SMALL], shown);
    expect([drawn.code, drawn.stdout]).toEqual([0, expect.stringContaining('\u001b]1337;File=')]);
    const plain = await ran(client, ['generate', 'a boat', ...SMALL, '--no-preview'], shown);
    expect(plain.stdout).not.toContain('1337');
    openai(image);
    // Its one pixel is no picture that could be made smaller, so the copy is the image.
    const tiny = await ran(client, ['generate', 'a boat', '--model', 'gpt-image-1'], shown);
    expect(tiny.code).toBe(0);
  });

  it('says what had no effect, and obeys nothing in it', async () => {
    const options = JSON.stringify({ '\u001b[2Jx': {} });
    const words = ['generate', 'a boat', ...SMALL, '--provider-options', options];
    const { code, stderr } = await ran(await newClient(), words);
    expect([code, stderr]).toEqual([0, expect.stringContaining('warning: provider_options.')]);
    expect(stderr).not.toContain('\u001b');
  });

  it('says how to collect what was accepted, and nothing of what was refused', async () => {
    const client = await newClient();
    const refused = await ran(client, ['generate', 'a boat', '--width', '1']);
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringMatching(/^error: /)]);
    const { stderr } = await ran(client, ['generate', 'a boat', ...SMALL]);
    const [request, collect] = stderr.split('\n');
    expect(request).toMatch(/^Request req_\w+$/);
    expect(collect).toMatch(/^If this is cut short, .* --idempotency-key \S+$/);
  });

  it('says by which key to collect what may have been accepted', async () => {
    const env = { FOREMAN_URL: 'https://lost.test' };
    const words = ['generate', 'a boat', ...SMALL];
    const terminal = fakeTerminal({ env: { ...env, FOREMAN_API_KEY: 'fm_x' } });
    const fetch = async () => new Response('<html>', { status: 500 });
    expect(await run(words, { terminal, version: '1.2.3', fetch })).toBe(5);
    expect(terminal.said.stderr).toMatch(/^error: .*collected by: .*--idempotency-key \S+\n/s);
  });

  it('says what a refusal was about, target by target', async () => {
    const client = await newClient();
    const words = ['generate', 'a boat', '--model', 'sketch', '--format', 'webp'];
    const { code, stdout, stderr } = await ran(client, words);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/sketch\/sketch: makes png only/);
  });

  it.each([
    ['an image to a terminal', ['--out', '-'], true],
    ['several images to one stream', ['--out', '-', '-n', '2'], false],
    ['an image between documents', ['--out', '-', '--json'], false],
    ['nowhere', ['--out', ''], false],
    ['into a file', ['--out', 'FILE/boat.png'], false],
    ['into a folder of a file', ['--out', 'FILE/new/'], false],
    ['into a folder that is not there', ['--out', 'FILE-less/new/boat.png'], false],
    ['what it does not wait for', ['--out', 'FILE-less.png', '--no-wait'], false],
  ])('does not write %s, and asks for nothing', async (_, options, isTTY) => {
    const client = await newClient();
    const file = join(await folder(), 'file');
    await writeFile(file, '');
    const words = options.map((option) => option.replace('FILE', file));
    const { code } = await ran(client, ['generate', 'a boat', ...SMALL, ...words], { isTTY });
    expect(code).toBe(2);
    const list = await ran(client, ['list', '--json']);
    expect(JSON.parse(list.stdout)).toMatchObject({ items: [] });
  });
});

describe('a prompt on stdin', () => {
  it('is all of it but the last line break, and not nothing', async () => {
    const client = await newClient();
    const words = ['generate', '-', ...SMALL, '--json'];
    const { stdout } = await ran(client, words, { input: 'a boat\nat night\n' });
    expect(JSON.parse(stdout)).toMatchObject({ input: { prompt: 'a boat\nat night' } });
    expect((await ran(client, words, { input: '\n' })).code).toBe(2);
  });
});

describe('a secret', () => {
  it.each([
    ['with a line break', { FOREMAN_API_KEY: 'fm_hidden\r\nx' }, 3],
    ['with a letter of no header', { FOREMAN_API_KEY: 'fm_hidden…' }, 3],
    ['in the address', { FOREMAN_URL: 'http://me:hidden@localhost' }, 2],
  ])('%s is not repeated', async (_, env, exitCode) => {
    const { code, stdout, stderr } = await ran({ key: 'fm_x' }, ['generate', 'x'], { env });
    expect([code, stdout]).toEqual([exitCode, '']);
    expect(stderr).not.toContain('hidden');
  });

  it('is taken without the line break of its file', async () => {
    const { key } = await newClient();
    expect((await ran({ key: `${key}\r\n` }, ['list'])).code).toBe(0);
  });
});

const idOf = (imageId = '') => imageId.split('_')[1];

describe('Ctrl-C', () => {
  /** A request whose call is under way until the gate opens. */
  async function underWay(...options: string[]) {
    const client = await newClient();
    const gate = held();
    openai(gate.answer);
    const words = ['generate', 'a boat', '--model', 'gpt-image-1', ...options];
    const called = call(client, words);
    await expect.poll(() => called.terminal.said.stderr).toContain('running');
    const id = /req_\w+/.exec(called.terminal.said.stderr)?.[0] ?? '';
    const status = async () =>
      (JSON.parse((await ran(client, ['get', id, '--json'])).stdout) as ForemanRequest).status;
    return { ...called, gate, status };
  }

  it('cancels the request', async () => {
    const { terminal, ended, gate, status } = await underWay();
    terminal.interrupt();
    expect(await ended).toBe(130);
    expect(terminal.said.stderr).toContain('ended as canceled');
    expect(await status()).toBe('canceled');
    gate.open();
  });

  it('a second time does not wait for that, and says how to collect what may come', async () => {
    const { terminal, ended, gate } = await underWay();
    terminal.interrupt();
    expect(() => terminal.interrupt()).toThrow(Exited);
    expect(terminal.exits).toEqual([130]);
    expect(terminal.said.stderr).toMatch(/not be canceled yet\. Collect it by: foreman get req_/);
    gate.open();
    await ended;
  });

  it('with --no-cancel leaves it', async () => {
    const { terminal, ended, gate, status } = await underWay('--no-cancel');
    expect(() => terminal.interrupt()).toThrow(Exited);
    expect(terminal.exits).toEqual([130]);
    expect(terminal.said.stderr).toMatch(
      /Left running\. Collect it by: foreman get req_\w+ --wait/,
    );
    expect(await status()).toBe('running');
    gate.open();
    await ended;
  });
});

describe('the rest', () => {
  it('answers a program with a document, and with nothing else', async () => {
    const client = await newClient();
    const asked = ['generate', 'a boat', ...SMALL];
    const made = await ran(client, [...asked, '--json']);
    const { id } = JSON.parse(made.stdout) as ForemanRequest;
    const commands: [words: string[], member: string][] = [
      [[...asked, '--no-wait'], 'urls'],
      [['list', '--limit', '2', '--status', 'succeeded'], 'items'],
      [['get', id], 'attempts'],
      [['get', id, '--wait'], 'attempts'],
      [['cancel', id], 'attempts'],
      [['models'], 'items'],
      [['webhooks', 'list'], 'items'],
      [['keys', 'list', client.userId], 'items'],
    ];
    for (const [words, member] of commands) {
      const { code, stdout, stderr } = await ran(client, [...words, '--json']);
      expect([words, code, stderr]).toEqual([words, 0, '']);
      expect(JSON.parse(stdout)).toHaveProperty(member);
    }
  });

  it.each([
    [['generate', 'x', '--model', 'nope'], {}, 2, 'unknown_model'],
    [['generate'], {}, 2, 'usage'],
    [['frob'], {}, 2, 'usage'],
    [['webhooks'], {}, 2, 'usage'],
    [['list'], { FOREMAN_API_KEY: '' }, 3, 'no_credential'],
    [['keys', 'list', 'usr_1', '--token', 'wrong'], {}, 3, 'unauthorized'],
    [['webhooks', 'get', 'whk_nope'], {}, 4, 'not_found'],
  ])('fails as %j does, with a document', async (words, env, exitCode, code) => {
    const client = await newClient();
    const failed = await ran(client, [...words, '--json'], { env });
    expect([failed.code, failed.stdout]).toEqual([exitCode, '']);
    expect(JSON.parse(failed.stderr)).toMatchObject({ code });
    const told = await ran(client, words, { env });
    expect([told.code, told.stdout]).toEqual([exitCode, '']);
    const said =
      words[0] === 'webhooks' && words.length === 1 ? /^Usage: foreman webhooks/ : /^error: /m;
    expect(told.stderr).toMatch(said);
  });

  it.each([
    [['frob'], /unknown command 'frob' \(usage\)\n {2}`foreman --help` shows/],
    [['generat', 'x'], /\(Did you mean generate\?\).*\n {2}`foreman --help` shows/],
    [['webhooks', 'frob'], /unknown command 'frob'.*\n {2}`foreman webhooks --help` shows/],
    [['generate', 'x', '--out', 'a.png', '--no-wait'], /`foreman get <id> --wait --out <path>`/],
    [['generate', 'x', '--out', '/nope/dir/a.png'], /`--out \/nope\/dir\/` makes it/],
  ])('says to who called %j what would do', async (words, said) => {
    const { code, stderr } = await ran({ key: 'fm_x' }, words);
    expect([code, stderr]).toEqual([2, expect.stringMatching(said)]);
  });

  it('lists and shows what there is', async () => {
    const client = await newClient();
    const made = await ran(client, ['generate', 'a boat', ...SMALL, '--no-wait', '--json']);
    const { id } = JSON.parse(made.stdout) as ForemanRequest;
    expect((await ran(client, ['get', id, '--wait'])).stdout).toMatch(/status +succeeded/);
    expect((await ran(client, ['cancel', id])).stdout).toBe(`${id} succeeded\n`);
    expect((await ran(client, ['models'])).stdout).toMatch(/\nsketch +yes/);
    expect((await ran(client, ['list', '--all', '--limit', '1'])).code).toBe(2);
    const failed = await ran(client, ['generate', 'x', '--model', 'chaos-refuse-input', '--json']);
    expect(failed.code).toBe(1);
    const problem = JSON.parse(failed.stderr) as { code: string; request_id: string };
    expect(problem.code).toBe('content_refused');
    const shown = await ran(client, ['get', problem.request_id]);
    expect([shown.code, shown.stdout]).toEqual([0, expect.stringMatching(/error +.*refused/)]);
    expect((await ran(client, ['get', problem.request_id, '--out', 'x'])).code).toBe(1);
  });

  it('makes secrets, and shows them once', async () => {
    const client = await newClient();
    const hooks = (...words: string[]) => ran(client, ['webhooks', ...words]);
    const made = await hooks('create', 'https://hooks.test/a', '--description', 'mine');
    const id = /whk_\w+/.exec(made.stdout)?.[0] ?? '';
    expect(made.stdout).toMatch(/secret +whsec_.*\n.*not shown again/);
    expect((await hooks('list')).stdout).toContain(id);
    expect((await hooks('get', id)).stdout).not.toContain('whsec_');
    expect((await hooks('rotate-secret', id, '--overlap', '0')).stdout).toMatch(/secret +whsec_/);
    expect((await hooks('disable', id)).stdout).toMatch(/status +disabled/);
    expect((await hooks('deliveries', id)).stdout).toBe('No deliveries.\n');
    expect((await hooks('replay', id, '--from', '2026-01-01T00:00:00Z')).code).toBe(2);
    expect((await hooks('delete', id)).stdout).toBe(`${id} deleted\n`);
  });

  it("looks after keys with the operator's token", async () => {
    const client = await newClient();
    const { userId } = client;
    const keys = (...words: string[]) => ran(client, ['keys', ...words]);
    const reading = ['--name', 'ci', '--scope', 'requests:read'];
    const made = await keys('create', userId, ...reading, '--json');
    const issued = JSON.parse(made.stdout) as { id: string; key: string };
    expect((await ran(issued, ['list'])).code).toBe(0);
    expect((await ran(issued, ['generate', 'x', ...SMALL])).code).toBe(3);
    const rotated = await keys('rotate', userId, issued.id, '--overlap', '0');
    expect(rotated.stdout).toMatch(/key +fm_\S+\n.*not shown again/);
    expect(rotated.stdout).toMatch(new RegExp(`replaces +${issued.id}`));
    const next = /id +(key_\S+)/.exec(rotated.stdout)?.[1] ?? '';
    expect((await keys('revoke', userId, next)).stdout).toBe(`${next} revoked\n`);
    expect((await keys('list', userId)).stdout).toMatch(new RegExp(`${next} +revoked`));
  });
});
