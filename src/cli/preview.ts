/**
 * A picture in the terminal: by the protocols of iTerm or kitty where they are spoken, else in half
 * blocks. The latter two by `terminal-image`, which is loaded when it is needed.
 */
import type { Foreman } from '../client/foreman';
import type { Image } from '../client/types';
import { hasColour, type Terminal } from './terminal';
import { plain } from './text';

/** A width that copies come in; more than that no terminal shows in half its height. */
const COPY_WIDTH = 512;
const MOST_IMAGES = 4;
/** Of the terminal, so that what was said before stays in sight. */
const SIZE = { width: '60%', height: '60%' } as const;

/** Half blocks are nothing but colour, and a pipe wants none of it. */
export function wantsPreview(
  terminal: Pick<Terminal, 'stdout' | 'env'>,
  asked: { readonly isJson: boolean; readonly preview: boolean; readonly out?: string | undefined },
): boolean {
  const { stdout, env } = terminal;
  return asked.preview && !asked.isJson && asked.out !== '-' && hasColour(stdout, env);
}

/** A picture that cannot be shown is no failure: it was made, and its address is there. */
export async function showPreviews(
  terminal: Terminal,
  images: readonly Pick<Image, 'id'>[],
  foreman: Pick<Foreman, 'images'>,
): Promise<void> {
  try {
    const draw = speaksITerm(terminal.env) ? drawITerm : await halfBlocksOrKitty();
    for (const { id } of images.slice(0, MOST_IMAGES)) {
      const copy = await foreman.images.content(id, { width: COPY_WIDTH, format: 'png' });
      await terminal.stdout.write(`${await draw(Buffer.from(await copy.arrayBuffer()))}\n`);
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    await terminal.stderr.write(`No preview: ${plain(reason)}\n`);
  }
}

async function halfBlocksOrKitty(): Promise<(png: Buffer) => Promise<string>> {
  const { default: terminalImage } = await import('terminal-image');
  return (png) => terminalImage.buffer(png, SIZE);
}

/** `terminal-image` looks for iTerm on this machine only; over ssh it tells by `LC_TERMINAL`. */
const speaksITerm = ({ TERM_PROGRAM, LC_TERMINAL }: Terminal['env']) =>
  TERM_PROGRAM === 'iTerm.app' || LC_TERMINAL === 'iTerm2';

/** https://iterm2.com/documentation-images.html */
const drawITerm = (png: Buffer) =>
  `\u001b]1337;File=inline=1;width=${SIZE.width};height=${SIZE.height};size=${png.length}:${png.toString('base64')}\u0007`;
