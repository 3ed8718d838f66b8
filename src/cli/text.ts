/** Text for terminals. Pure. */

/**
 * C0, DEL and C1, among them what begins an escape sequence; and what breaks a line or turns around
 * the direction in which the rest of it is read.
 */
const CONTROL = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]+/gu;
const WIDE =
  /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;
const MARK = /\p{M}|[\u200b-\u200f]/u;

/**
 * One line, whatever a prompt, a provider's reason or a receiver's answer contains: a terminal obeys
 * escape sequences, whoever wrote them.
 */
export const plain = (text: string) => text.replace(CONTROL, ' ').trim();

/** A document for programs, which may be shown on a terminal all the same: C1 and DEL are escaped. */
export const jsonText = (document: unknown, indent = 0) =>
  JSON.stringify(document, null, indent).replace(
    /[\u007f-\u009f]/g,
    (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

/** Columns that a terminal gives a text, as far as that can be known without asking it. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += widthOfOne(character);
  return width;
}

const widthOfOne = (character: string) => (MARK.test(character) ? 0 : WIDE.test(character) ? 2 : 1);

/** At most `width` columns; what was cut off is an ellipsis. */
export function cut(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let kept = '';
  let used = 0;
  for (const character of text) {
    used += widthOfOne(character);
    if (used > width - 1) break;
    kept += character;
  }
  return width < 1 ? '' : `${kept}…`;
}

export const padded = (text: string, width: number) =>
  text + ' '.repeat(Math.max(0, width - widthOf(text)));

const UNITS = ['B', 'kB', 'MB', 'GB'] as const;

export function bytesText(bytes: number): string {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  const value = bytes / 1000 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[power]}`;
}

export function usdText(usd: number): string {
  if (usd === 0) return '$0';
  return `$${usd < 0.1 ? usd.toPrecision(2) : usd.toFixed(2)}`;
}

export const counted = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`;
