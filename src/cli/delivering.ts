/** What came of a request, to where it is wanted: files, stdout, the eye. */
import { dirname } from 'node:path';
import type { Foreman } from '../client/foreman';
import type { ForemanRequest, Image } from '../client/types';
import { SaveError, UsageError } from './fault';
import { fileNames, knownFileNames, meansDirectory, misnamed, TO_STDOUT } from './file-names';
import {
  isDirectory,
  isStream,
  makeFolder,
  refuseExisting,
  refuseUnwritable,
  saveFile,
  writeToStream,
} from './files';
import { showPreviews, wantsPreview } from './preview';
import { renderImages, renderSaved, renderSummary } from './request-text';
import type { Session } from './session';
import { plain } from './text';

export interface DeliveryOptions {
  readonly out?: string;
  readonly force?: boolean;
  readonly preview: boolean;
}

/**
 * Looked at before anything is asked for: what cannot be kept should not be paid for.
 * @throws UsageError
 */
export async function checkDelivery(
  { terminal, output }: Session,
  { out, force = false }: DeliveryOptions,
  count: number,
): Promise<void> {
  if (out === undefined) return;
  if (out === '') throw new UsageError('--out wants the name of a file or directory, or -.');
  const isOfOne = out === TO_STDOUT || (await isStream(out));
  if (isOfOne && count > 1) {
    throw new UsageError(`--out ${out} takes one image, not ${count}; give a directory.`);
  }
  if (out !== TO_STDOUT) {
    if (isOfOne) return;
    const target = { out, isDirectory: await isDirectory(out) };
    if (!force) await refuseExisting(knownFileNames(target, count));
    const mayBeMade = meansDirectory(target);
    await refuseUnwritable(mayBeMade ? out : dirname(out), { mayBeMade });
    return;
  }
  if (output.isJson) throw new UsageError('--out - and --json both want stdout; choose one.');
  if (terminal.stdout.isTTY && !force) {
    throw new UsageError('--out - would write an image to the terminal; --force does it.');
  }
}

/** `request` has succeeded. @throws SaveError, UsageError */
export async function deliver(
  session: Session,
  { foreman, request }: { readonly foreman: Foreman; readonly request: ForemanRequest },
  options: DeliveryOptions,
): Promise<void> {
  const { terminal, output } = session;
  const { images } = request;
  if (!output.isJson) {
    for (const warning of request.warnings) {
      await terminal.stderr.write(`warning: ${plain(warning)}\n`);
    }
  }
  if (options.out === TO_STDOUT) {
    await terminal.stdout.write(await bytesOf(foreman, onlyOne(images, options.out)));
    return;
  }
  const files =
    options.out === undefined ? null : await save(session, { foreman, images }, options);
  const { paint } = output;
  await output.result({
    json: files === null ? request : { ...request, files },
    text: () =>
      (files === null ? renderImages(images, paint) : renderSaved(images, files, paint)) +
      renderSummary(request, paint),
  });
  if (wantsPreview(terminal, { isJson: output.isJson, ...options })) {
    await showPreviews(terminal, images, foreman);
  }
}

async function save(
  { terminal, output }: Session,
  { foreman, images }: { readonly foreman: Foreman; readonly images: readonly Image[] },
  { out = '', force: mayReplace = false }: DeliveryOptions,
): Promise<string[]> {
  if (await isStream(out)) {
    await writeToStream(out, await bytesOf(foreman, onlyOne(images, out)));
    return [out];
  }
  const target = { out, isDirectory: await isDirectory(out) };
  if (meansDirectory(target)) await makeFolder(out);
  const files = fileNames(target, images);
  for (const [index, image] of images.entries()) {
    const path = files[index] ?? '';
    await saveFile(path, await bytesOf(foreman, image), { mayReplace });
    const fault = misnamed(path, image.media_type);
    if (fault !== null && !output.isJson) await terminal.stderr.write(`warning: ${fault}\n`);
  }
  return files;
}

/** @throws SaveError */
function onlyOne(images: readonly Image[], out: string): Image {
  const [only, ...others] = images;
  if (only !== undefined && others.length === 0) return only;
  throw new SaveError(`--out ${out} takes one image; the request has ${images.length}.`);
}

async function bytesOf(foreman: Foreman, { id }: Image): Promise<Uint8Array> {
  return new Uint8Array(await (await foreman.images.content(id)).arrayBuffer());
}
