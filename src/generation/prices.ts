/** What one image of a target costs, from the price list. Pure. */

/**
 * Parts of a price; their sum is what one image costs, in US dollars. An image is charged `per`
 * image, per (begun) megapixel, per 512×512 tile, or per step.
 */
export type PricePart =
  | {
      readonly per: 'image';
      readonly usd: number;
      /** Prices for values of `provider_options.<provider>.quality`; `usd` holds for any other. */
      readonly by_quality?: Readonly<Record<string, number>>;
      /** Factors by `WIDTHxHEIGHT`, on top; 1 for any other. */
      readonly by_size?: Readonly<Record<string, number>>;
    }
  | { readonly per: 'megapixel'; readonly usd: number; readonly round_up?: boolean }
  | { readonly per: 'tile'; readonly usd: number }
  /** For each tile in each step. */
  | { readonly per: 'tile_step'; readonly usd: number; readonly usual: number }
  /** `usual`: how many the provider makes when it is not told. */
  | { readonly per: 'step'; readonly usd: number; readonly usual: number };
export type Price = readonly PricePart[];

export interface Priced {
  readonly size: { readonly width: number; readonly height: number };
  readonly quality: string | null;
  readonly steps: number | null;
}

const TILE_SIDE = 512;
const MEGAPIXEL = 1_000_000;

/** Micro-dollars for one image; whole, rounded up, so that no price is ever lost. */
export function priceMicros(price: Price, image: Priced): number {
  const usd = price.reduce((sum, part) => sum + partUsd(part, image), 0);
  // 0.1 + 0.2: a sum must not be rounded up for the error of its representation.
  return Math.ceil(Number((usd * 1e6).toFixed(3)));
}

function partUsd(part: PricePart, { size, quality, steps }: Priced): number {
  switch (part.per) {
    case 'image': {
      const base = listed(part.by_quality, quality) ?? part.usd;
      return base * (listed(part.by_size, `${size.width}x${size.height}`) ?? 1);
    }
    case 'megapixel': {
      const megapixels = (size.width * size.height) / MEGAPIXEL;
      return part.usd * (part.round_up ? Math.ceil(megapixels) : megapixels);
    }
    case 'tile':
      return part.usd * tilesOf(size);
    case 'tile_step':
      return part.usd * tilesOf(size) * (steps ?? part.usual);
    case 'step':
      return part.usd * (steps ?? part.usual);
  }
}

const tilesOf = ({ width, height }: Priced['size']) =>
  Math.ceil(width / TILE_SIDE) * Math.ceil(height / TILE_SIDE);

/** The quality is the client's text: `constructor` is a member of every object, and no price. */
function listed(
  values: Readonly<Record<string, number>> | undefined,
  name: string | null,
): number | undefined {
  return values && name !== null && Object.hasOwn(values, name) ? values[name] : undefined;
}
