/** The colours of a picture, from the time of day, the weather and the colour words of a prompt. */
import { mix, type Rgb, saturate, scale, tinted } from './colour';
import { createRandom, pick, subkey } from './random';
import type { Thing, Time } from './vocabulary';
import type { Description } from './words';

const parts = [
  'skyTop',
  'skyMiddle',
  'skyLow',
  'haze',
  'light',
  'far',
  'near',
  'water',
  'foliage',
  'ground',
  'cloudLit',
  'cloudShade',
] as const;
type Part = (typeof parts)[number];

export interface Palette extends Record<Part, Rgb> {
  /** How far the light of the sun or moon spreads, 0–1. */
  glow: number;
}

const BY_TIME: Record<Time, readonly [glow: number, ...hex: string[]]> = {
  day: [
    0.42,
    ...hexes('3a78be 86b6e0 dcebf0 c8dce6 fff4d6 7c98b4 3c5c50 2a6a8a 3f6b3a 829a50 fffdf8 a8b8cc'),
  ],
  dawn: [
    0.65,
    ...hexes('6277ac d8a4ba ffdfb8 f2cdc8 fff0d0 9088ae 464e66 74889e 46584e 848066 ffe6d8 b496b8'),
  ],
  sunset: [
    0.9,
    ...hexes('3a2f6e c2586a ffb45e f29c68 ffdc92 84506e 30203a 4e3a60 33282c 5f3f3a ffb484 7c4470'),
  ],
  dusk: [
    0.6,
    ...hexes('171c48 5a4a86 e08a7c 8e6a8c ffc8a0 4c4272 191a30 2c3058 1c2230 3a3440 c88c98 42386a'),
  ],
  night: [
    0.42,
    ...hexes('060a1e 0f1d42 2b4a78 24406a e6ecff 1c2f54 080e1c 0c1a36 0a161e 15222e 52669a 141e3c'),
  ],
  space: [
    0.3,
    ...hexes('030410 080a20 120c2c 1a1640 fff0e0 2a2450 0a0a18 0c1030 101828 20203a 5a4a90 140f30'),
  ],
};

function hexes(list: string): string[] {
  return list.split(' ');
}

function rgbOf(hex: string): Rgb {
  const value = Number.parseInt(hex, 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

const SKY: readonly Part[] = ['skyTop', 'skyMiddle', 'skyLow', 'haze'];
const CLOUDS: readonly Part[] = ['cloudLit', 'cloudShade'];
const STEEL: Rgb = [92, 102, 116];
const MIST: Rgb = [206, 210, 212];
const SNOW: Rgb = [236, 242, 250];
const RUST: Rgb = [196, 96, 34];
const STRAW: Rgb = [180, 130, 62];
const SAND: Rgb = [222, 172, 110];
/** A slight cast by the seed, so that two pictures of one prompt differ in mood as well. */
const CASTS: readonly [Rgb, ...Rgb[]] = [
  [240, 150, 90],
  [90, 140, 230],
  [200, 110, 170],
  [80, 170, 160],
  [230, 190, 110],
];
const CAST_AMOUNT = 0.1;

type Colours = Record<Part, Rgb>;

function change(colours: Colours, names: readonly Part[], map: (colour: Rgb) => Rgb): void {
  for (const name of names) colours[name] = map(colours[name]);
}

/** Brightness of the hour, 0–1: fresh snow is grey at night. */
const DAYLIGHT: Record<Time, number> = {
  day: 1,
  dawn: 0.88,
  sunset: 0.72,
  dusk: 0.45,
  night: 0.3,
  space: 0.25,
};

function applyWeather(colours: Colours, things: ReadonlySet<Thing>, time: Time): void {
  const daylight = DAYLIGHT[time];
  const lit = (colour: Rgb) => scale(colour, 0.15 + 0.85 * daylight);
  if (things.has('desert')) colours.ground = mix(colours.ground, lit(SAND), 0.85);
  if (things.has('autumn')) {
    colours.foliage = mix(colours.foliage, lit(RUST), 0.85);
    colours.ground = mix(colours.ground, lit(STRAW), 0.7);
  }
  if (things.has('snow')) {
    // Snow mirrors the sky, which is what makes it blue at night.
    colours.ground = mix(lit(SNOW), colours.skyMiddle, 0.3 - 0.15 * daylight);
    colours.foliage = mix(colours.foliage, lit(SNOW), 0.22);
    change(colours, SKY, (colour) => mix(colour, lit(SNOW), 0.25));
  }
  if (things.has('fog')) {
    change(colours, [...SKY, 'far', 'light'], (colour) => mix(colour, lit(MIST), 0.6));
    change(colours, ['foliage', 'ground', 'near', 'water'], (colour) =>
      mix(colour, lit(MIST), 0.15),
    );
  }
  if (things.has('rain')) {
    change(colours, [...SKY, ...CLOUDS, 'far', 'ground', 'water'], (colour) =>
      mix(saturate(colour, 0.6), lit(STEEL), 0.42),
    );
  }
  if (things.has('storm')) {
    change(colours, [...SKY, ...CLOUDS, 'water', 'ground', 'far'], (colour) =>
      scale(saturate(colour, 0.8), 0.84),
    );
  }
}

/** How strongly colour words tint, 0–1; a guidance scale of 7.5 is the usual 0.6. */
export function tintStrength(guidanceScale: number): number {
  return guidanceScale / (guidanceScale + 5);
}

function applyTints(colours: Colours, description: Description, strength: number): void {
  const { tints, tintOf } = description;
  if (tints.length === 0) return;
  const taken = [...tintOf.values()];
  for (const [index, part] of parts.entries()) {
    // With several colours each takes its share of the picture: the first the top of the sky, …
    const tint = tints[index % tints.length];
    if (tint === undefined) continue;
    // A colour that belongs to one thing ("red boat") only echoes in the rest.
    const share = taken.includes(tint) ? 0.3 : 1;
    colours[part] = tinted(colours[part], tint, strength * share);
  }
}

const TINTED_PARTS: readonly (readonly [Thing, readonly Part[]])[] = [
  ['sea', ['water']],
  ['lake', ['water']],
  ['forest', ['foliage']],
  ['mountains', ['far', 'near']],
  ['hills', ['near', 'foliage']],
  ['meadow', ['ground']],
  ['desert', ['ground']],
  ['clouds', CLOUDS],
  ['sun', ['light', 'skyLow']],
  ['moon', ['light']],
  ['galaxy', ['cloudLit']],
  ['fog', ['haze']],
];

/** @param key of the picture, @param guidanceScale 1–20: more is more vivid and more tinted */
export function createPalette(
  description: Description,
  key: number,
  guidanceScale: number,
): Palette {
  const [glow, ...values] = BY_TIME[description.time];
  const colour = (part: Part) => rgbOf(values[parts.indexOf(part)] ?? '000000');
  const colours = Object.fromEntries(parts.map((part) => [part, colour(part)])) as Colours;
  applyWeather(colours, description.things, description.time);
  const random = createRandom(subkey(key, 'cast'));
  const cast = pick(random, CASTS);
  change(colours, parts, (value) => tinted(value, cast, random() * CAST_AMOUNT));
  change(colours, parts, (value) => saturate(value, 0.85 + guidanceScale * 0.025));
  const strength = tintStrength(guidanceScale);
  applyTints(colours, description, strength);
  for (const [thing, affected] of TINTED_PARTS) {
    const tint = description.tintOf.get(thing);
    if (tint !== undefined) change(colours, affected, (value) => tinted(value, tint, strength));
  }
  const isDull = description.things.has('storm') || description.things.has('rain');
  return { ...colours, glow: isDull ? glow * 0.35 : glow };
}
