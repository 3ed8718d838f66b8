/** How long a server asks to be left alone: `Retry-After` (RFC 9110, 10.2.3) and its ms variants. */

/** Sums of a clock and a wait stay valid dates; every caller has a lower cap of its own. */
const MAX_WAIT_MS = 365 * 86_400_000;

const NUMBER = /^[+-]?\d+(?:\.\d+)?$/;

/** RFC 9110, 5.6.7: the preferred form and the two obsolete ones that must still be understood. */
const IMF_FIXDATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;
const RFC850_DATE = /^[A-Z][a-z]+day, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT$/;
const ASCTIME_DATE = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/;

/**
 * The wait in whole ms, from a `Retry-After` value in seconds or as an HTTP date. Null for no value
 * or one that is neither; 0 for a time gone by; a year at most.
 */
export function parseRetryAfter(value: string | null, now: number): number | null {
  const text = value?.trim() ?? '';
  if (NUMBER.test(text)) return waitMs(Number(text) * 1_000);
  const at = httpDate(text);
  return at === null ? null : waitMs(at - now);
}

/**
 * The wait in ms that an answer asks for. `retry-after-ms` and `x-ms-retry-after-ms` (OpenAI, Azure)
 * are the finer ones and go first; one that cannot be read gives way to the next.
 */
export function retryAfterMs(headers: Pick<Headers, 'get'>, now: number): number | null {
  for (const name of ['retry-after-ms', 'x-ms-retry-after-ms']) {
    const text = headers.get(name)?.trim() ?? '';
    if (NUMBER.test(text)) return waitMs(Number(text));
  }
  return parseRetryAfter(headers.get('retry-after'), now);
}

/** `Date.parse` alone would read a date into almost anything, `1.5` included. */
function httpDate(text: string): number | null {
  const spelled = ASCTIME_DATE.test(text) ? `${text} GMT` : text;
  if (spelled === text && !IMF_FIXDATE.test(text) && !RFC850_DATE.test(text)) return null;
  const at = Date.parse(spelled);
  return Number.isNaN(at) ? null : at;
}

function waitMs(ms: number): number {
  return Math.min(MAX_WAIT_MS, Math.max(0, Math.ceil(ms)));
}
