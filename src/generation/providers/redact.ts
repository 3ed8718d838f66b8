/**
 * Makes a provider's own words fit to be stored and shown: no key, no prompt, one line, cut to
 * length. Providers quote both (a 401 repeats part of the key, a refusal part of the prompt), so
 * pieces are removed as well as the whole.
 */
const MAX_MESSAGE_CHARS = 300;

/** More than a message is ever shown of; keeps the search below cheap. */
const MAX_SOURCE_CHARS = 4_000;

/** Runs this long are taken for quotations: shorter ones of a prompt are everyday words. */
const PROMPT_RUN_CHARS = 16;
const SECRET_RUN_CHARS = 8;

const KEY_SHAPES = [
  /\bBearer\s+[^\s"',]+/gi,
  /\b(?:sk|pk|rk)[-_][\w*.…-]{5,}[\w*]/gi,
  /[\w-]*\*{3,}[\w*-]*/g,
];

export interface Confidential {
  /** Keys and tokens that were sent. */
  readonly secrets: readonly string[];
  /** What the user wrote: prompts. */
  readonly texts: readonly string[];
}

/** At most 300 characters; empty when nothing is left to say. */
export function redact(message: string, confidential: Confidential): string {
  let text = oneLine(message.slice(0, MAX_SOURCE_CHARS));
  for (const shape of KEY_SHAPES) text = text.replace(shape, '[key]');
  for (const secret of confidential.secrets) {
    text = hideQuotations(text, secret, SECRET_RUN_CHARS, '[key]');
  }
  for (const quoted of confidential.texts) {
    text = hideQuotations(text, quoted, PROMPT_RUN_CHARS, '[prompt]');
  }
  return text.length > MAX_MESSAGE_CHARS ? `${text.slice(0, MAX_MESSAGE_CHARS - 1)}…` : text;
}

/** Replaces every run of at least `run` characters that `text` shares with `source`. */
function hideQuotations(text: string, source: string, run: number, mark: string): string {
  const wanted = lowerInPlace(oneLine(source));
  if (wanted.length < run) return hideWord(text, wanted, mark);
  const pieces = new Set<string>();
  for (let at = 0; at + run <= wanted.length; at += 1) pieces.add(wanted.slice(at, at + run));
  const lower = lowerInPlace(text);
  let result = '';
  let at = 0;
  while (at < text.length) {
    if (!pieces.has(lower.slice(at, at + run))) {
      result += text[at];
      at += 1;
      continue;
    }
    let end = at + run;
    while (pieces.has(lower.slice(end - run + 1, end + 1))) end += 1;
    result += mark;
    at = end;
  }
  return result;
}

/** A short source goes only where it stands on its own, else the prompt "a" would eat the text. */
function hideWord(text: string, word: string, mark: string): string {
  if (word === '') return text;
  const escaped = word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return text.replace(new RegExp(`(?<![\\p{L}\\p{N}])${escaped}(?![\\p{L}\\p{N}])`, 'giu'), mark);
}

/** Keeps the length, which `toLowerCase` does not for a few letters, so that positions agree. */
const lowerInPlace = (text: string) =>
  text.replace(/\p{Lu}/gu, (letter) => {
    const lower = letter.toLowerCase();
    return lower.length === letter.length ? lower : letter;
  });

const oneLine = (text: string) => text.replace(/\s+/g, ' ').trim();
