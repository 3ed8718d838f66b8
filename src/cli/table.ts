/** Rows as aligned lines no wider than the terminal. Pure. */
import type { Colour, Paint } from './paint';
import { cut, padded, plain, widthOf } from './text';

export interface Column<Row> {
  readonly title: string;
  readonly text: (row: Row) => string;
  readonly colour?: (row: Row) => Colour | null;
  /** Gives way when the line is too long; of several the last one first. Ids never do. */
  readonly isElastic?: boolean;
}

const GAP = '  ';
/** Below this a column says nothing any more, and the line may be wider than the terminal. */
const LEAST = 8;

export function renderTable<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  { width, paint }: { readonly width: number; readonly paint: Paint },
): string {
  const cells = rows.map((row) => columns.map(({ text }) => plain(text(row))));
  const widths = fitted(
    columns.map(({ title }, index) =>
      Math.max(widthOf(title), ...cells.map((line) => widthOf(line[index] ?? ''))),
    ),
    columns,
    width,
  );
  const line = (texts: readonly string[], colourFor: (index: number) => Colour | null) =>
    texts
      .map((text, index) => {
        const short = cut(text, widths[index] ?? 0);
        const isLast = index === texts.length - 1;
        const filled = isLast ? short : padded(short, widths[index] ?? 0);
        return paint(colourFor(index), filled);
      })
      .join(GAP)
      .trimEnd();
  const head = line(
    columns.map(({ title }) => title),
    () => 'dim',
  );
  const body = cells.map((texts, at) => {
    const row = rows[at];
    return line(texts, (index) =>
      row === undefined ? null : (columns[index]?.colour?.(row) ?? null),
    );
  });
  return [head, ...body].map((text) => `${text}\n`).join('');
}

function fitted<Row>(
  widths: readonly number[],
  columns: readonly Column<Row>[],
  width: number,
): number[] {
  const shrunk = [...widths];
  let excess = shrunk.reduce((sum, one) => sum + one, 0) + GAP.length * (shrunk.length - 1) - width;
  for (const index of [...columns.keys()].reverse()) {
    if (excess <= 0) break;
    const own = shrunk[index] ?? 0;
    if (columns[index]?.isElastic !== true || own <= LEAST) continue;
    const given = Math.min(excess, own - LEAST);
    shrunk[index] = own - given;
    excess -= given;
  }
  return shrunk;
}

export type Field = readonly [
  name: string,
  value: string | null | undefined,
  colour?: Colour | null,
];

/** `name  value` lines, uncut: half a link or half an error is none. A pair without a value is left out. */
export function renderFields(fields: readonly Field[], paint: Paint): string {
  const shown = fields.filter(([, value]) => value !== null && value !== undefined && value !== '');
  const width = Math.max(0, ...shown.map(([name]) => widthOf(name)));
  return shown
    .map(([name, value, colour = null]) => {
      return `${paint('dim', padded(name, width))}${GAP}${paint(colour, plain(value ?? ''))}\n`;
    })
    .join('');
}
