/** Whom an address stands for, as far as counting goes. */
import { ipv6Bits } from './untrusted-address';

/** Who has one IPv6 address has the 2⁶⁴ beside it, so their /64 counts as one. */
export function addressGroup(address: string): string {
  if (!address.includes(':')) return address;
  const host = URL.parse(`http://[${address}]/`)?.hostname;
  if (host === undefined) return address;
  const bits = ipv6Bits(host.slice(1, -1));
  // An IPv4 address in IPv6's clothes (RFC 4291, 2.5.5.2).
  if (bits >> 32n === 0xffffn) return ipv4Text(bits & 0xffff_ffffn);
  return `${(bits >> 64n).toString(16).padStart(16, '0')}/64`;
}

function ipv4Text(bits: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => (bits >> shift) & 0xffn).join('.');
}
