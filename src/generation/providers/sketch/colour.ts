/** Colour arithmetic on display values: three channels, 0–255. */

export type Rgb = readonly [red: number, green: number, blue: number];

export function mix(from: Rgb, to: Rgb, amount: number): Rgb {
  return [
    from[0] + (to[0] - from[0]) * amount,
    from[1] + (to[1] - from[1]) * amount,
    from[2] + (to[2] - from[2]) * amount,
  ];
}

export function luminance(colour: Rgb): number {
  return 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2];
}

/** Above 1 brighter, below 1 darker. */
export function scale(colour: Rgb, factor: number): Rgb {
  return [
    Math.min(255, colour[0] * factor),
    Math.min(255, colour[1] * factor),
    Math.min(255, colour[2] * factor),
  ];
}

/** 1 leaves the colour, 0 gives grey, above 1 is more vivid. */
export function saturate(colour: Rgb, factor: number): Rgb {
  const grey = luminance(colour);
  const channel = (value: number) => Math.min(255, Math.max(0, grey + (value - grey) * factor));
  return [channel(colour[0]), channel(colour[1]), channel(colour[2])];
}

/** Moves the hue to that of `tint` and the brightness a third of the way. `amount` is 0–1. */
export function tinted(colour: Rgb, tint: Rgb, amount: number): Rgb {
  const light = luminance(colour);
  const tintLight = luminance(tint);
  const target = light + (tintLight - light) * 0.35;
  return mix(colour, scale(tint, target / Math.max(12, tintLight)), amount);
}
