/** Which bucket holds what belongs to an id: a user's images lie where the user's foreman does. */
import { type Cell, cellOf, cells, type Id, type IdPrefix } from '../platform/ids';
import { ownerOf } from './keys';

export type Buckets = Pick<Env, 'IMAGES' | 'IMAGES_EU'>;

const byCell = { '0': 'IMAGES', e: 'IMAGES_EU' } as const satisfies Record<Cell, keyof Buckets>;

export const bucketFor = (env: Buckets, id: Id<IdPrefix>): R2Bucket => env[byCell[cellOf(id)]];

/** A key of nobody, which only a foreign hand can have made, is looked for where most keys are. */
export function bucketForKey(env: Buckets, key: string): R2Bucket {
  const owner = ownerOf(key);
  return owner ? bucketFor(env, owner) : env.IMAGES;
}

/** Every bucket with the cell of what it holds, for what goes over all images. */
export const cellsOf = (env: Buckets): readonly (readonly [Cell, R2Bucket])[] =>
  cells.map((cell) => [cell, env[byCell[cell]]] as const);

export const bucketsOf = (env: Buckets): readonly R2Bucket[] =>
  cellsOf(env).map(([, bucket]) => bucket);
