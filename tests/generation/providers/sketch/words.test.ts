import { describe, expect, it } from 'vitest';
import type { Thing, Time } from '../../../../src/generation/providers/sketch/vocabulary';
import { describePrompt } from '../../../../src/generation/providers/sketch/words';

const things = (prompt: string, negativePrompt: string | null = null) =>
  describePrompt(prompt, negativePrompt).things;

describe('the time of day', () => {
  it.each<[string, Time]>([
    ['a lake at sunset', 'sunset'],
    ['Midnight in the city', 'night'],
    ['sunrise over dunes', 'dawn'],
    ['twilight, a castle', 'dusk'],
    ['a forest under the stars', 'night'],
    ['a ringed planet', 'space'],
    ['a nebula in outer space', 'space'],
    ['a galaxy above the desert', 'night'],
    ['a thunderstorm at sea', 'dusk'],
    ['a cyberpunk street', 'night'],
  ])('of "%s" is %s', (prompt, time) => {
    expect(describePrompt(prompt, null).time).toBe(time);
  });

  it('is never night when only "no night" is asked for', () => {
    expect(describePrompt('a town, not night', null).time).not.toBe('night');
  });
});

describe('words for things', () => {
  it.each<[string, Thing[]]>([
    ['MOUNTAINS, and a Lake!', ['mountains', 'lake']],
    ['three kittens', ['cat']],
    ['daisies', ['flowers']],
    ['a foggy skyline', ['fog', 'city']],
    ['a fjord', ['mountains', 'lake']],
    ['marshes-and_dunes', ['desert']],
    ['winter', ['snow', 'mountains']],
    ['a yacht', ['boat', 'sea']],
    ['a skyscraper', ['city', 'lake']],
    ['an autumn lake', ['lake', 'autumn', 'forest']],
    ['constructor toString __proto__', []],
  ])('in "%s" ask for %j', (prompt, wanted) => {
    expect([...things(prompt)]).toEqual(expect.arrayContaining(wanted));
  });

  it('give a place even to a prompt without a known word', () => {
    const places: Thing[] = ['mountains', 'hills', 'sea', 'forest', 'meadow', 'desert'];
    for (const prompt of ['zzz', '雪', '!!!', 'qwertz uiop']) {
      expect(places.some((place) => things(prompt).has(place))).toBe(true);
    }
  });
});

describe('unwanted things', () => {
  it.each<[string, string | null, Thing]>([
    ['a lake', 'clouds', 'clouds'],
    ['a lake', 'cloudy, ugly', 'clouds'],
    ['a beach with people', 'people', 'people'],
    ['a beach without people', null, 'people'],
    ['a beach, no other people', null, 'people'],
    ['the moon over a lake', 'moon', 'moon'],
    ['a boat', 'ocean', 'sea'],
  ])('are removed: "%s" less "%s" has no %s', (prompt, negativePrompt, thing) => {
    const description = describePrompt(prompt, negativePrompt);
    expect(description.things.has(thing)).toBe(false);
    expect(description.removed.has(thing)).toBe(true);
  });

  it('end with the next known word: "no clouds, mountains" has mountains', () => {
    expect(things('no clouds, mountains').has('mountains')).toBe(true);
  });

  it('leave time and place as they were', () => {
    const before = describePrompt('zzz', null);
    const after = describePrompt('zzz', 'clouds');
    expect(after.time).toBe(before.time);
    expect([...after.things].sort()).toEqual(
      [...before.things].filter((thing) => thing !== 'clouds').sort(),
    );
  });
});

describe('colour words', () => {
  it('belong to the thing that follows within two words, and to the whole', () => {
    const { tints, tintOf } = describePrompt('a red old boat on a teal sea', null);
    expect(tints).toHaveLength(2);
    expect(tintOf.get('boat')).toEqual(tints[0]);
    expect(tintOf.get('sea')).toEqual(tints[1]);
  });

  it('reach no farther', () => {
    expect(describePrompt('red and quite a long story, a boat', null).tintOf.size).toBe(0);
  });

  it('are taken back by the negative prompt', () => {
    expect(describePrompt('a red sunset', 'red').tints).toEqual([]);
  });
});
