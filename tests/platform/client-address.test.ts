import { describe, expect, it } from 'vitest';
import { addressGroup } from '../../src/platform/client-address';

describe('an address counts', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '20010db800010002/64'],
    ['2001:DB8:1:2::', '20010db800010002/64'],
    ['2001:db8:1:3::1', '20010db800010003/64'],
    ['::1', '0000000000000000/64'],
    ['no:address', 'no:address'],
    ['unknown', 'unknown'],
  ])('%s as %s', (address, group) => {
    expect(addressGroup(address)).toBe(group);
  });
});
