/** Addresses that count: tests that are not about the shield send none. */
import { env } from 'cloudflare:workers';
import type { Purpose } from '../../src/platform/shield';

/** As in vitest.config.ts. */
const LIMIT = 6;

/** The binding begins anew with each minute of the clock: a test that spans two is made once more. */
export const ACROSS_A_MINUTE = { retry: 1 };

let last = 0;
/** An address that nobody of the file has used. */
export function newAddress(): string {
  last += 1;
  return `198.51.${last >> 8}.${last & 255}`;
}

/** All but `left` of what this address may do for this purpose is done. */
export async function spend(purpose: Purpose, address: string, left = 0): Promise<void> {
  const key = `${purpose}:${address}`;
  await Promise.all(Array.from({ length: LIMIT - left }, () => env.SHIELD.limit({ key })));
}
