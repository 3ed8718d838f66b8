/**
 * Run as a process of its own: the local server with another Worker on the same bindings. Tells its
 * parent where it listens and what opens its admin API.
 */
import { startLocalServer } from '../../../scripts/local/server.ts';
import { throwAwaySettings } from '../../../scripts/local/settings.ts';

export interface FixtureReport {
  readonly origin: string;
  readonly adminToken: string;
}

const [main = '', stateDir = ''] = process.argv.slice(2);
const settings = { ...throwAwaySettings(), PUBLIC_URL: '', CHAOS_MODELS: 'true' };
const server = await startLocalServer({ port: 0, stateDir, main, settings, quiet: true });
const report: FixtureReport = {
  origin: server.origin,
  adminToken: server.settings.ADMIN_TOKEN ?? '',
};
process.send?.(report);
// The parent is done, or gone.
process.on('disconnect', () => void server.stop().finally(() => process.exit()));
