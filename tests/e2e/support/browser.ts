/**
 * A real browser, headless. It is looked for on this machine and, where a machine is there to be set
 * up (root, with apt-get: a container, a build agent), installed.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const USUAL_PATHS = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/snap/bin/chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
];
const INSTALL_LIMIT_MS = 240_000;
/** Nothing that the browser does by itself: its own calls would be in the way, or outlast the test. */
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** @throws Error saying what to install. */
export function launchBrowser(): Promise<Browser> {
  const executablePath = findBrowser() ?? installBrowser();
  return chromium.launch({ executablePath, args: ARGUMENTS });
}

function findBrowser(): string | null {
  const named = process.env.CHROMIUM_PATH;
  if (!named) return USUAL_PATHS.find((path) => existsSync(path)) ?? null;
  if (existsSync(named)) return named;
  throw new Error(`CHROMIUM_PATH names ${named}, which is not there.`);
}

function installBrowser(): string {
  const isRoot = process.getuid?.() === 0;
  const install = 'apt-get install -y --no-install-recommends chromium';
  // Lists of packages that are there may do; a fresh container has none.
  const isInstalled = isRoot && (run(install) || (run('apt-get update') && run(install)));
  const path = isInstalled ? findBrowser() : null;
  if (path !== null) return path;
  throw new Error(
    'There is no browser for the tests: install Chromium or Chrome (on Debian: apt-get install ' +
      'chromium), or name one in CHROMIUM_PATH.',
  );
}

function run(command: string): boolean {
  const [name = '', ...words] = command.split(' ');
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const { status } = spawnSync(name, words, { env, stdio: 'ignore', timeout: INSTALL_LIMIT_MS });
  return status === 0;
}
