/**
 * Which names and which web pages may reach `/mcp`. A page that lets its own name resolve to a local
 * server (DNS rebinding) is told apart by the name it asks for, and any page by its `Origin`; the
 * specification's transports demand both. Pure.
 */
import { mayPageOpen, type Origins } from '../platform/cors';

export interface Reach {
  /** The origin the operator has given; null: wherever it is routed to. */
  readonly publicOrigin: string | null;
  /** Runs on somebody's own machine, where every page of a browser reaches it. */
  readonly isLocal: boolean;
  readonly corsOrigins: Origins;
}

/** What keeps a call out: the name it was sent to, or the page it comes from; null lets it in. */
export function strangeness(
  call: { readonly url: string; readonly page: string | null },
  reach: Reach,
): 'host' | 'page' | null {
  const { host, hostname, origin } = new URL(call.url);
  if (!isOwnHost({ host, hostname }, reach)) return 'host';
  if (call.page === null) return null;
  const isOwn = call.page === (reach.publicOrigin ?? origin);
  const isNear = reach.isLocal && isLoopback(URL.parse(call.page)?.hostname);
  return isOwn || isNear || mayPageOpen(reach.corsOrigins, call.page) ? null : 'page';
}

function isOwnHost(
  { host, hostname }: { readonly host: string; readonly hostname: string },
  { publicOrigin, isLocal }: Reach,
): boolean {
  if (publicOrigin !== null) return host === new URL(publicOrigin).host;
  return !isLocal || isLoopback(hostname);
}

const isLoopback = (hostname: string | undefined) =>
  hostname === 'localhost' || hostname === '127.0.0.1' || hostname === '[::1]';
