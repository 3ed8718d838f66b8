/** Colours, or none. Pure. */
const codes = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;
export type Colour = keyof typeof codes;

export type Paint = (colour: Colour | null, text: string) => string;

export const createPaint =
  (isOn: boolean): Paint =>
  (colour, text) =>
    isOn && colour !== null && text !== '' ? `\u001b[${codes[colour]}m${text}\u001b[0m` : text;

const ofStatus: Readonly<Record<string, Colour>> = {
  succeeded: 'green',
  active: 'green',
  delivered: 'green',
  running: 'cyan',
  queued: 'yellow',
  pending: 'yellow',
  disabled: 'yellow',
  failed: 'red',
  expired: 'red',
  canceled: 'dim',
  skipped: 'dim',
};

export const colourOf = (status: string): Colour | null => ofStatus[status] ?? null;
