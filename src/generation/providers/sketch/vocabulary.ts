/** The words a sketch understands. English, singular; `words.ts` brings a prompt to that form. */
import type { Rgb } from './colour';

export const times = ['day', 'dawn', 'sunset', 'dusk', 'night', 'space'] as const;
export type Time = (typeof times)[number];

/** What can be drawn; the words that ask for each. */
const thingWords = {
  mountains: 'mountain peak alp summit ridge volcano cliff canyon everest himalaya fjord',
  hills: 'hill countryside valley highland moor',
  sea: 'sea ocean water wave coast shore beach surf island harbor harbour bay seascape',
  lake: 'lake river pond reflection lagoon stream creek fjord',
  forest: 'forest wood woodland jungle pine fir spruce taiga grove',
  tree: 'tree oak willow maple birch palm baobab',
  city: 'city skyline town skyscraper building downtown metropolis street cyberpunk urban tower',
  desert: 'desert dune sand sahara mars oasis',
  meadow: 'meadow field grass prairie garden park lawn pasture grassland savanna',
  flowers: 'flower rose tulip poppy daisy blossom lavender sunflower wildflower bloom lily',
  house: 'house cabin cottage hut home barn farm village chalet inn',
  boat: 'boat ship sail sailboat yacht sailing canoe regatta',
  lighthouse: 'lighthouse beacon',
  castle: 'castle fortress palace citadel',
  balloon: 'balloon airship zeppelin',
  birds: 'bird gull seagull swallow crow eagle raven goose flock',
  cat: 'cat kitten kitty feline',
  dog: 'dog puppy fox wolf corgi hound shiba',
  people: 'people person man woman girl boy child figure wanderer astronaut traveler hiker couple',
  face: 'face portrait selfie headshot',
  sun: 'sun sunny sunshine sunlight',
  moon: 'moon moonlight moonlit moonrise',
  stars: 'star starry starlight constellation cosmos',
  planet: 'planet saturn jupiter ringed',
  galaxy: 'galaxy nebula milky cosmic',
  aurora: 'aurora borealis',
  clouds: 'cloud cloudy overcast cumulus',
  rain: 'rain rainy drizzle downpour shower monsoon',
  storm: 'storm stormy thunder thunderstorm lightning tempest hurricane',
  fog: 'fog foggy mist misty haze hazy smoke',
  snow: 'snow snowy winter blizzard frost frozen ice icy glacier arctic snowfall christmas',
  neon: 'neon cyberpunk synthwave vaporwave',
  autumn: 'autumn fall autumnal october harvest',
} as const;
export type Thing = keyof typeof thingWords;

const timeWords = {
  day: 'day daytime noon midday afternoon daylight',
  dawn: 'dawn sunrise morning daybreak',
  sunset: 'sunset sundown evening',
  dusk: 'dusk twilight gloaming',
  night: 'night midnight nighttime nocturnal',
  space: 'space universe outer interstellar orbit',
} as const satisfies Record<Time, string>;

const colourWords: Record<string, Rgb> = {
  red: [214, 40, 40],
  crimson: [176, 18, 52],
  scarlet: [230, 44, 28],
  orange: [244, 132, 34],
  amber: [250, 176, 40],
  gold: [240, 186, 64],
  golden: [240, 186, 64],
  yellow: [248, 220, 66],
  lime: [160, 220, 60],
  green: [58, 160, 74],
  emerald: [24, 150, 104],
  olive: [124, 130, 54],
  teal: [22, 142, 142],
  turquoise: [52, 200, 194],
  cyan: [60, 204, 228],
  azure: [46, 140, 232],
  blue: [38, 96, 214],
  navy: [20, 40, 104],
  indigo: [68, 52, 160],
  violet: [134, 74, 206],
  purple: [126, 58, 176],
  magenta: [214, 50, 170],
  pink: [246, 140, 184],
  coral: [250, 122, 100],
  peach: [252, 190, 150],
  brown: [126, 84, 52],
  sepia: [150, 116, 74],
  beige: [222, 204, 170],
  cream: [246, 236, 208],
  white: [240, 242, 246],
  silver: [190, 198, 208],
  grey: [130, 134, 140],
  gray: [130, 134, 140],
  monochrome: [130, 134, 140],
  black: [24, 24, 30],
  pastel: [226, 196, 224],
};

export type Meaning =
  | { kind: 'time'; time: Time }
  | { kind: 'thing'; things: readonly Thing[] }
  | { kind: 'colour'; colour: Rgb };

function isThing(name: string): name is Thing {
  return Object.hasOwn(thingWords, name);
}

function buildMeanings(): ReadonlyMap<string, Meaning> {
  const meanings = new Map<string, Meaning>();
  for (const [name, words] of Object.entries(thingWords)) {
    if (!isThing(name)) continue;
    for (const word of words.split(' ')) {
      const known = meanings.get(word);
      const others = known?.kind === 'thing' ? known.things : [];
      meanings.set(word, { kind: 'thing', things: [...others, name] });
    }
  }
  for (const time of times) {
    for (const word of timeWords[time].split(' ')) meanings.set(word, { kind: 'time', time });
  }
  for (const [word, colour] of Object.entries(colourWords)) {
    meanings.set(word, { kind: 'colour', colour });
  }
  return meanings;
}

export const meanings = buildMeanings();
