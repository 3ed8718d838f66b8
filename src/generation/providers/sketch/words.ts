/** Reads a prompt into what to draw. Pure; the authority on which words have which effect. */
import type { Rgb } from './colour';
import { createRandom, hashText, pick } from './random';
import { type Meaning, meanings, type Thing, type Time } from './vocabulary';

export interface Description {
  /** Differs for every prompt, known words or not: unknown words vary the composition. */
  fingerprint: number;
  time: Time;
  things: ReadonlySet<Thing>;
  /** Colours for the whole picture, in the order of the prompt. */
  tints: readonly Rgb[];
  /** Colours that stand right before a thing: "red boat". */
  tintOf: ReadonlyMap<Thing, Rgb>;
  /** What the negative prompt, or "no" and "without" in the prompt, took away. */
  removed: ReadonlySet<Thing>;
}

const NEGATIONS: ReadonlySet<string> = new Set(['no', 'not', 'without']);
/** How far, in words, a colour or a negation reaches: "red old boat", "without any people". */
const REACH = 2;

/** Things that make a place; a prompt with none of them gets one by its hash. */
const PLACES: readonly Thing[] = [
  'mountains',
  'hills',
  'sea',
  'lake',
  'forest',
  'city',
  'desert',
  'meadow',
  'flowers',
  'planet',
  'galaxy',
  'face',
];

const DEFAULT_PLACES: readonly [Thing[], ...Thing[][]] = [
  ['mountains', 'lake'],
  ['hills', 'tree'],
  ['sea', 'mountains'],
  ['forest', 'mountains'],
  ['meadow', 'mountains', 'flowers'],
  ['desert'],
];

/** A thing that is nowhere without another: its place, when the prompt names none. */
const HOMES: readonly (readonly [Thing, readonly Thing[]])[] = [
  ['boat', ['sea', 'mountains']],
  ['lighthouse', ['sea', 'hills']],
  ['castle', ['mountains', 'hills']],
  ['house', ['meadow', 'mountains', 'tree']],
  ['snow', ['mountains', 'forest']],
  ['autumn', ['hills', 'forest']],
  ['balloon', ['mountains', 'hills']],
  ['aurora', ['mountains', 'lake']],
];

interface Reading {
  times: Time[];
  things: Set<Thing>;
  tints: Rgb[];
  tintOf: Map<Thing, Rgb>;
  negated: Set<Thing>;
}

/** The meaning of a word, also in the plural and as "-es"; undefined for an unknown word. */
function meaningOf(word: string): Meaning | undefined {
  return (
    meanings.get(word) ??
    (word.endsWith('s') ? meanings.get(word.slice(0, -1)) : undefined) ??
    (word.endsWith('es') ? meanings.get(word.slice(0, -2)) : undefined) ??
    (word.endsWith('ies') ? meanings.get(`${word.slice(0, -3)}y`) : undefined)
  );
}

function read(text: string): Reading {
  const reading: Reading = {
    times: [],
    things: new Set(),
    tints: [],
    tintOf: new Map(),
    negated: new Set(),
  };
  let colour: { value: Rgb; until: number } | null = null;
  let negatedUntil = -1;
  const words = text.toLowerCase().split(/[^\p{L}\p{N}]+/u);
  for (const [index, word] of words.entries()) {
    if (NEGATIONS.has(word)) negatedUntil = index + REACH;
    const meaning = meaningOf(word);
    if (meaning === undefined) continue;
    const isNegated = index <= negatedUntil;
    negatedUntil = -1;
    if (meaning.kind === 'colour') {
      if (isNegated) continue;
      reading.tints.push(meaning.colour);
      colour = { value: meaning.colour, until: index + REACH };
    } else if (meaning.kind === 'time') {
      if (!isNegated) reading.times.push(meaning.time);
    } else {
      for (const thing of meaning.things) {
        (isNegated ? reading.negated : reading.things).add(thing);
        if (colour !== null && index <= colour.until) reading.tintOf.set(thing, colour.value);
      }
    }
  }
  return reading;
}

function timeOf(reading: Reading, things: ReadonlySet<Thing>, fingerprint: number): Time {
  const named = reading.times;
  const isSpace = named.includes('space') || things.has('planet') || things.has('galaxy');
  if (
    isSpace &&
    !PLACES.some((place) => place !== 'planet' && place !== 'galaxy' && things.has(place))
  ) {
    return 'space';
  }
  const first = named.find((time) => time !== 'space');
  if (first !== undefined) return first;
  const isDark: Thing[] = ['moon', 'stars', 'aurora', 'planet', 'galaxy', 'neon'];
  if (named.includes('space') || isDark.some((thing) => things.has(thing))) return 'night';
  if (things.has('storm')) return 'dusk';
  if (things.has('rain') || things.has('fog') || things.has('snow') || things.has('flowers')) {
    return 'day';
  }
  return pick(createRandom(fingerprint), ['day', 'day', 'sunset', 'dawn']);
}

function addPlace(things: Set<Thing>, isSpace: boolean, fingerprint: number): void {
  if (isSpace || PLACES.some((place) => things.has(place))) return;
  const home = HOMES.find(([thing]) => things.has(thing));
  const place = home?.[1] ?? pick(createRandom(fingerprint ^ 0x5bd1e995), DEFAULT_PLACES);
  for (const thing of place) things.add(thing);
}

/** A lake has a far shore, and autumn has trees to show it. */
function addShore(things: Set<Thing>, fingerprint: number): void {
  if (things.has('autumn') && things.has('lake')) things.add('forest');
  const others = PLACES.filter((place) => place !== 'lake' && place !== 'flowers');
  if (!things.has('lake') || others.some((place) => things.has(place))) return;
  things.add(pick(createRandom(fingerprint ^ 0x2545f491), ['mountains', 'hills', 'forest']));
}

/** A skyline stands at a river unless the prompt gives it another foreground. */
function addRiver(things: Set<Thing>): void {
  const others = PLACES.filter((place) => place !== 'city' && place !== 'mountains');
  if (things.has('city') && !others.some((place) => things.has(place))) things.add('lake');
}

export function describePrompt(prompt: string, negativePrompt: string | null): Description {
  const fingerprint = hashText(prompt);
  const reading = read(prompt);
  const negative = read(negativePrompt ?? '');
  const removed = new Set([...reading.negated, ...negative.things, ...negative.negated]);
  const things = new Set(reading.things);
  const time = timeOf(reading, things, fingerprint);
  // Before the removal, so that taking a thing away leaves the rest of the picture where it was.
  addPlace(things, time === 'space', fingerprint);
  addRiver(things);
  addShore(things, fingerprint);
  if (time !== 'space' && !things.has('fog')) things.add('clouds');
  if (things.has('storm')) things.add('rain');
  if (time === 'space' || time === 'night' || time === 'dusk') things.add('stars');
  if (time === 'night' && !things.has('storm')) things.add('moon');
  if (time !== 'night' && time !== 'space' && !things.has('moon') && !things.has('storm')) {
    things.add('sun');
  }
  for (const thing of removed) things.delete(thing);
  const unwanted = negative.tints;
  const tints = reading.tints.filter((tint) => !unwanted.includes(tint));
  return { fingerprint, time, things, tints, tintOf: reading.tintOf, removed };
}
