// How the demo looks. `styleText` leaves the colours out when standard output is no terminal.
import { styleText } from 'node:util';

const LABEL_WIDTH = 12;

export const bold = (text: string) => styleText('bold', text);
export const dim = (text: string) => styleText('dim', text);
export const good = (text: string) => styleText('green', text);

export function title(text: string): void {
  console.log(`\n${bold(text)}`);
}

export function line(label: string, ...parts: (string | null)[]): void {
  const words = parts.filter((part) => part !== null).join('  ');
  console.log(`  ${dim(label.padEnd(LABEL_WIDTH))}  ${words}`);
}

export function ms(duration: number): string {
  const whole = Math.round(duration);
  return whole < 10_000 ? `${whole} ms` : `${(duration / 1000).toFixed(1)} s`;
}

/** `+   38 ms`, one under the other. */
export function elapsed(duration: number): string {
  return dim(`+${ms(duration).padStart(8)}`);
}

/** The time of day, in UTC, of an ISO 8601 time. */
export function clock(iso: string): string {
  return `${new Date(iso).toISOString().slice(11, 23)}Z`;
}
