/** `?width=&format=` as they come. */
import { noSuchVariant } from '../errors';
import { type VariantAsk, variantFormats, variantWidths } from './plan';

/** @throws AppError `invalid_request` that names what there is. */
export function readVariant(query: {
  readonly width?: string | undefined;
  readonly format?: string | undefined;
}): VariantAsk {
  const width = variantWidths.find((one) => String(one) === query.width);
  const format = variantFormats.find((one) => one === query.format);
  const faults = [
    ...(query.width !== undefined && width === undefined
      ? [{ path: 'width', message: `must be one of ${variantWidths.join(', ')}` }]
      : []),
    ...(query.format !== undefined && format === undefined
      ? [{ path: 'format', message: `must be one of ${variantFormats.join(', ')}` }]
      : []),
  ];
  if (faults.length > 0) throw noSuchVariant(faults);
  return { width: width ?? null, format: format ?? null };
}
