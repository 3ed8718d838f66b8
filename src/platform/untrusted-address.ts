/**
 * Which hosts a URL chosen by someone else may name: public names and public addresses. Judged by
 * spelling alone; a name that resolves to a private address is the runtime's to stop (Cloudflare
 * has no route to one, and workerd's default `internet` service allows public addresses only).
 */

type Policy = { readonly allowLocal: boolean };
interface Range {
  readonly bits: bigint;
  readonly prefix: number;
  readonly what: string;
}

const LOCAL_IPV4 = ipv4Ranges([
  ['10.0.0.0/8', 'private'],
  ['100.64.0.0/10', 'shared (CGNAT)'],
  ['127.0.0.0/8', 'loopback'],
  ['172.16.0.0/12', 'private'],
  ['192.168.0.0/16', 'private'],
]);

/** Source: IANA IPv4 Special-Purpose Address Registry; the last entry is a cloud's own service. */
const SPECIAL_IPV4 = ipv4Ranges([
  ['0.0.0.0/8', '"this network"'],
  ['169.254.0.0/16', 'link-local'],
  ['192.0.0.0/24', 'protocol assignment'],
  ['192.0.2.0/24', 'documentation'],
  ['192.31.196.0/24', 'AS112'],
  ['192.52.193.0/24', 'multicast tunnel'],
  ['192.88.99.0/24', '6to4 relay'],
  ['192.175.48.0/24', 'AS112'],
  ['198.18.0.0/15', 'benchmarking'],
  ['198.51.100.0/24', 'documentation'],
  ['203.0.113.0/24', 'documentation'],
  ['224.0.0.0/4', 'multicast'],
  ['255.255.255.255/32', 'broadcast'],
  ['240.0.0.0/4', 'reserved'],
  ['168.63.129.16/32', 'cloud platform'],
]);

const LOCAL_IPV6 = ipv6Ranges([
  ['::1/128', 'loopback'],
  ['fc00::/7', 'private'],
]);

/**
 * Source: IANA IPv6 Special-Purpose Address Registry. Addresses that carry an IPv4 address are
 * refused whatever they carry: no public service is published under one. The ranges outside
 * 2000::/3 are here for their names; the rest of that space is refused as reserved.
 */
const SPECIAL_IPV6 = ipv6Ranges([
  ['::/128', 'unspecified'],
  ['::ffff:0:0/96', 'IPv4-mapped'],
  ['::/96', 'IPv4-compatible'],
  ['64:ff9b::/96', 'NAT64'],
  ['64:ff9b:1::/48', 'NAT64'],
  ['100::/64', 'discard-only'],
  ['2001::/32', 'Teredo'],
  ['2001::/23', 'protocol assignment'],
  ['2001:db8::/32', 'documentation'],
  ['2002::/16', '6to4'],
  ['2620:4f:8000::/48', 'AS112'],
  ['3fff::/20', 'documentation'],
  ['fe80::/10', 'link-local'],
  ['fec0::/10', 'site-local'],
  ['ff00::/8', 'multicast'],
]);
const GLOBAL_IPV6 = ipv6Ranges([['2000::/3', 'global unicast']]);

/**
 * Top-level domains that public DNS never delegates, so refusing them costs no one and stops names
 * that only resolve inside a network. `test`, `invalid` and `example` can be no one's host and are
 * a mistake worth an answer; `example.com` is a real host and passes. Sources: IANA Special-Use
 * Domain Names, ICANN's reservations (internal; mail for the collisions it would bring), RFC 6762
 * appendix G (lan, corp, home, …). `svc`, `default`, `consul` and `docker` are what clusters append.
 * `arpa` holds `home.arpa`, and names like `ipv4only.arpa` that resolve to special addresses.
 */
const LOCAL_DOMAINS = new Set([
  'localhost',
  'localdomain',
  'local',
  'internal',
  'intranet',
  'mail',
  'private',
  'corp',
  'home',
  'lan',
  'svc',
  'default',
  'consul',
  'docker',
  'arpa',
  'onion',
  'alt',
  'test',
  'invalid',
  'example',
]);
const MAX_NAME_CHARS = 253;
const LABEL = /^[a-z0-9_-]{1,63}$/;
/** Public ones are of letters alone, or an IDN; `1e0` or `1-` is an address to some other parser. */
const TOP_LABEL = /^(?:[a-z]{2,63}|xn--[a-z0-9-]{1,59})$/;

/**
 * @param host as the URL parser wrote it (lower case, IDNs and IPv4 normalised, IPv6 in brackets),
 *   without a trailing dot.
 * @returns why the host is refused, as a sentence for the API's caller, or null when it is fine.
 */
export function untrustedHostFault(host: string, policy: Policy): string | null {
  const what = specialAddress(host, policy);
  if (what !== null) return `The URL's address ${host} is not a public one (${what}).`;
  return isAddress(host) ? null : nameFault(host, policy);
}

/** Whether the host is one that `allowLocal` opens up: loopback, private, or no public name. */
export function isLocalHost(host: string): boolean {
  return (
    untrustedHostFault(host, { allowLocal: false }) !== null &&
    untrustedHostFault(host, { allowLocal: true }) === null
  );
}

function specialAddress(host: string, { allowLocal }: Policy): string | null {
  if (isIpv4(host)) {
    const bits = ipv4Bits(host);
    return find(SPECIAL_IPV4, bits, 32) ?? (allowLocal ? null : find(LOCAL_IPV4, bits, 32));
  }
  if (!isIpv6(host)) return null;
  const bits = ipv6Bits(host.slice(1, -1));
  const local = find(LOCAL_IPV6, bits, 128);
  if (local !== null) return allowLocal ? null : local;
  const special = find(SPECIAL_IPV6, bits, 128) ?? (isIsatap(bits) ? 'ISATAP' : null);
  return special ?? (find(GLOBAL_IPV6, bits, 128) === null ? 'reserved' : null);
}

function nameFault(host: string, { allowLocal }: Policy): string | null {
  const labels = host.split('.');
  if (host.length > MAX_NAME_CHARS || !labels.every((label) => LABEL.test(label))) {
    return "The URL's host is not a valid domain name.";
  }
  if (allowLocal) return null;
  if (labels.length === 1) return "The URL's host must be a full domain name.";
  const top = labels.at(-1) ?? '';
  if (!TOP_LABEL.test(top)) return `The URL's host is not a public name (.${top}).`;
  return LOCAL_DOMAINS.has(top) ? `The URL's host is not a public name (.${top}).` : null;
}

/** In any network: an interface identifier that carries an IPv4 address (RFC 5214, 6.1). */
const isIsatap = (bits: bigint) => ((bits >> 32n) & 0xfdff_ffffn) === 0x5efen;

const isIpv4 = (host: string) => /^\d+\.\d+\.\d+\.\d+$/.test(host);
const isIpv6 = (host: string) => host.startsWith('[');
const isAddress = (host: string) => isIpv4(host) || isIpv6(host);

function find(ranges: readonly Range[], bits: bigint, width: number): string | null {
  const hit = ranges.find((range) => {
    const rest = BigInt(width - range.prefix);
    return bits >> rest === range.bits >> rest;
  });
  return hit?.what ?? null;
}

type RangeList = readonly (readonly [cidr: string, what: string])[];

function ipv4Ranges(list: RangeList): readonly Range[] {
  return parseRanges(list, ipv4Bits);
}

function ipv6Ranges(list: RangeList): readonly Range[] {
  return parseRanges(list, ipv6Bits);
}

function parseRanges(list: RangeList, bitsOf: (address: string) => bigint): readonly Range[] {
  return list.map(([cidr, what]) => {
    const [address = '', prefix] = cidr.split('/');
    return { bits: bitsOf(address), prefix: Number(prefix), what };
  });
}

function ipv4Bits(address: string): bigint {
  return address.split('.').reduce((bits, part) => (bits << 8n) | BigInt(part), 0n);
}

/** The URL parser leaves groups of hex digits and at most one `::`, never a dotted tail. */
export function ipv6Bits(address: string): bigint {
  const [head = '', tail] = address.split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':'));
  const before = groups(head);
  const after = groups(tail ?? '');
  const gap = new Array<string>(8 - before.length - after.length).fill('0');
  const all = [...before, ...gap, ...after];
  return all.reduce((bits, group) => (bits << 16n) | BigInt(`0x${group}`), 0n);
}
