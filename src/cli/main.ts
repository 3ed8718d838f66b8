#!/usr/bin/env node
/** `foreman`: the command line. */
import process from 'node:process';
import { version } from '../../package.json';
import { nodeTerminal } from './node-terminal';
import { run } from './run';

process.exit(await run(process.argv.slice(2), { terminal: nodeTerminal(), version }));
