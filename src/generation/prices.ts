/** What one image of a target costs, from the price list. Pure. */

/** For a quality that is not listed, and for none, `usd`: the most that the provider may choose. */
export interface ImagePrice {
  readonly usd: number;
  /** By value of `provider_options.<provider>.quality`. */
  readonly by_quality?: Readonly<Record<string, number>>;
}

/**
 * Parts of a price; their sum is what one image costs, in US dollars. An image is charged `per`
 * image, per (begun) megapixel, per 512×512 tile, per step, or per preview.
 */
export type PricePart =
  | (ImagePrice & {
      readonly per: 'image';
      /** Factors by `WIDTHxHEIGHT`, on top; 1 for any other. */
      readonly by_size?: Readonly<Record<string, number>>;
      /** By `WIDTHxHEIGHT`, in place of all that is said besides. */
      readonly sizes?: Readonly<Record<string, ImagePrice>>;
      /** A larger image costs more in proportion. */
      readonly up_to_pixels?: number;
    })
  | {
      readonly per: 'megapixel';
      readonly usd: number;
      readonly round_up?: boolean;
      /** What counts as one; 1,000,000 unless said. */
      readonly pixels?: number;
    }
  | { readonly per: 'tile'; readonly usd: number }
  /** For each tile in each step. */
  | { readonly per: 'tile_step'; readonly usd: number; readonly usual: number }
  /** `usual`: how many the provider makes when it is not told. */
  | { readonly per: 'step'; readonly usd: number; readonly usual: number }
  /** For each interim picture that is asked for. */
  | { readonly per: 'preview'; readonly usd: number };
export type Price = readonly PricePart[];

interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Priced {
  /** Null when it is left to the provider. */
  readonly size: Size | null;
  readonly quality: string | null;
  readonly steps: number | null;
  /** None when left out. */
  readonly previews?: number;
}

/** What providers make when they are not told. */
export const USUAL_SIZE: Size = { width: 1024, height: 1024 };

const TILE_SIDE = 512;
const MEGAPIXEL = 1_000_000;

/** Micro-dollars for one image; whole, rounded up, so that no price is ever lost. */
export function priceMicros(price: Price, image: Priced): number {
  const usd = price.reduce((sum, part) => sum + partUsd(part, image), 0);
  // 0.1 + 0.2: a sum must not be rounded up for the error of its representation.
  return Math.ceil(Number((usd * 1e6).toFixed(3)));
}

function partUsd(part: PricePart, image: Priced): number {
  const size = image.size ?? USUAL_SIZE;
  switch (part.per) {
    case 'image':
      return imageUsd(part, image);
    case 'megapixel': {
      const megapixels = pixelsOf(size) / (part.pixels ?? MEGAPIXEL);
      return part.usd * (part.round_up ? Math.ceil(megapixels) : megapixels);
    }
    case 'tile':
      return part.usd * tilesOf(size);
    case 'tile_step':
      return part.usd * tilesOf(size) * (image.steps ?? part.usual);
    case 'step':
      return part.usd * (image.steps ?? part.usual);
    case 'preview':
      return part.usd * (image.previews ?? 0);
  }
}

type ImagePart = Extract<PricePart, { per: 'image' }>;

function imageUsd(part: ImagePart, { size, quality }: Priced): number {
  const name = size && `${size.width}x${size.height}`;
  const own = listed(part.sizes, name);
  if (own) return qualityUsd(own, quality);
  const excess = size && part.up_to_pixels ? pixelsOf(size) / part.up_to_pixels : 1;
  return qualityUsd(part, quality) * (listed(part.by_size, name) ?? 1) * Math.max(1, excess);
}

const qualityUsd = ({ usd, by_quality }: ImagePrice, quality: string | null) =>
  listed(by_quality, quality) ?? usd;

const pixelsOf = ({ width, height }: Size) => width * height;

const tilesOf = ({ width, height }: Size) =>
  Math.ceil(width / TILE_SIDE) * Math.ceil(height / TILE_SIDE);

/** The quality is the client's text: `constructor` is a member of every object, and no price. */
function listed<T>(
  values: Readonly<Record<string, T>> | undefined,
  name: string | null,
): T | undefined {
  return values && name !== null && Object.hasOwn(values, name) ? values[name] : undefined;
}
