/** Times for people. Pure: `now` is passed in. */
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** `3.2 s`, `48 s`, `4 min`, `6 h`, `12 d`. */
export function durationText(ms: number): string {
  if (ms < 10 * SECOND) return `${(Math.max(0, ms) / SECOND).toFixed(1)} s`;
  const [size, unit] =
    ms < 2 * MINUTE
      ? [SECOND, 's']
      : ms < 2 * HOUR
        ? [MINUTE, 'min']
        : ms < 2 * DAY
          ? [HOUR, 'h']
          : [DAY, 'd'];
  return `${Math.floor(ms / Number(size))} ${unit}`;
}

/** `now`, `3 min ago`, `in 6 h`; a dash where there is none. */
export function relativeText(time: string | null | undefined, now: number): string {
  if (time === null || time === undefined) return '–';
  const ms = now - Date.parse(time);
  if (Math.abs(ms) < SECOND) return 'now';
  const size = durationText(Math.floor(Math.abs(ms) / SECOND) * SECOND).replace('.0 ', ' ');
  return ms > 0 ? `${size} ago` : `in ${size}`;
}
