// Runs before every script of package.json: installs the dependencies when node_modules is not what
// package-lock.json says. Plain JavaScript without dependencies, because on a bare clone it runs
// under whatever Node is installed; the scripts themselves find Node 24 in node_modules/.bin.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const OLDEST_NODE = 20;
// An install that takes longer than this has died without its lock being removed.
const INSTALL_LIMIT_MS = 15 * 60_000;
const WAIT_STEP_MS = 500;

const root = fileURLToPath(new URL('..', import.meta.url));
const lockFolder = join(root, '.setup-lock');

const major = Number(process.versions.node.split('.')[0]);
if (major < OLDEST_NODE) {
  fail(`Foreman needs Node ${OLDEST_NODE} or later to set itself up; this is ${process.version}.`);
}
if (!isInstalled()) installOnce();

/** True when every package of the lock file that belongs on this machine is there as locked. */
function isInstalled() {
  const wanted = readPackages(join(root, 'package-lock.json'));
  const installed = readPackages(join(root, 'node_modules', '.package-lock.json'));
  if (wanted === null) fail('package-lock.json is missing or is not JSON.');
  if (installed === null || !existsSync(join(root, 'node_modules', '.bin', 'node'))) return false;
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '') return true;
    const found = installed[path];
    // npm leaves out optional packages made for another platform.
    if (found === undefined) return entry.optional === true || entry.devOptional === true;
    return found.version === entry.version && found.integrity === entry.integrity;
  });
}

function readPackages(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages ?? null;
  } catch {
    return null;
  }
}

/** Two scripts started together on a bare clone install once: the second waits for the first. */
function installOnce() {
  while (!takeLock()) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WAIT_STEP_MS);
  }
  const release = () => rmSync(lockFolder, { recursive: true, force: true });
  process.on('exit', release);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));
  if (!isInstalled()) install();
  release();
}

function takeLock() {
  const owner = join(lockFolder, 'pid');
  try {
    mkdirSync(lockFolder);
    writeFileSync(owner, String(process.pid));
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
  if (isAbandoned(owner)) rmSync(lockFolder, { recursive: true, force: true });
  return false;
}

function isAbandoned(owner) {
  try {
    if (Date.now() - statSync(lockFolder).mtimeMs > INSTALL_LIMIT_MS) return true;
    process.kill(Number(readFileSync(owner, 'utf8')), 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}

function install() {
  console.error('Foreman: installing dependencies (npm ci) …');
  // npm's own Node, not the one in node_modules, which this very install replaces.
  const npm = process.env.npm_execpath;
  const node = process.env.npm_node_execpath ?? process.execPath;
  const [command, before] = npm?.endsWith('.js') ? [node, [npm]] : ['npm', []];
  const result = spawnSync(
    command,
    [...before, 'ci', '--include=dev', '--include=optional', '--loglevel=error'],
    {
      cwd: root,
      // Standard output belongs to the script that runs next.
      stdio: ['ignore', 2, 2],
      // Node 24 itself comes out of an install script; package.json names the few that may run.
      env: { ...process.env, npm_config_ignore_scripts: 'false' },
    },
  );
  if (result.error) fail(`npm could not be run: ${result.error.message}`);
  if (result.status !== 0) fail('npm ci failed; what it says is above.');
  const version = spawnSync(join(root, 'node_modules', '.bin', 'node'), ['--version']);
  if (version.status !== 0) fail('npm ci ended well, but node_modules/.bin/node does not run.');
}

function fail(message) {
  console.error(`Foreman: ${message}`);
  process.exit(1);
}
