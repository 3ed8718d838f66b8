/** Requests and their images as text. Pure. */
import type { Attempt, ForemanRequest, Image } from '../client/types';
import { colourOf, type Paint } from './paint';
import { type Column, type Field, renderFields, renderTable } from './table';
import { bytesText, counted, plain, usdText } from './text';
import { durationText, relativeText } from './times';

export interface Canvas {
  readonly paint: Paint;
  readonly width: number;
}

const promptOf = ({ input }: ForemanRequest) => String(input.prompt ?? '');

const requestColumns = (now: number): Column<ForemanRequest>[] => [
  { title: 'ID', text: ({ id }) => id },
  { title: 'STATUS', text: ({ status }) => status, colour: ({ status }) => colourOf(status) },
  { title: 'MODEL', text: ({ model }) => model },
  { title: 'IMAGES', text: ({ images }) => String(images.length) },
  { title: 'COST', text: ({ cost_usd: usd }) => usdText(usd) },
  { title: 'CREATED', text: ({ created_at: at }) => relativeText(at, now) },
  { title: 'PROMPT', text: promptOf, isElastic: true },
];

export function renderRequests(
  requests: readonly ForemanRequest[],
  { now, ...canvas }: Canvas & { readonly now: number },
): string {
  return requests.length === 0
    ? 'No requests.\n'
    : renderTable(requests, requestColumns(now), canvas);
}

/** All that is known of one. */
export function renderRequest(
  request: ForemanRequest,
  { now, paint, width }: Canvas & { readonly now: number },
): string {
  const { waiting, error } = request;
  const fields: Field[] = [
    ['request', request.id],
    ['status', request.status, colourOf(request.status)],
    ['prompt', promptOf(request)],
    ['model', request.model],
    ['created', relativeText(request.created_at, now)],
    ['completed', request.completed_at && relativeText(request.completed_at, now)],
    ['deadline', request.completed_at === null ? relativeText(request.expires_at, now) : null],
    [
      'waiting',
      waiting &&
        [waiting.reason, waiting.position && `position ${waiting.position}`]
          .filter(Boolean)
          .join(', '),
    ],
    ['eta', waiting?.eta && relativeText(waiting.eta.p50, now)],
    ['cost', usdText(request.cost_usd)],
    [
      'metadata',
      Object.entries(request.metadata)
        .map((pair) => pair.join('='))
        .join(' '),
    ],
    ['error', error && `${error.message} (${error.code})`, 'red'],
    ...request.warnings.map((warning): Field => ['warning', warning, 'yellow']),
  ];
  const attempts =
    request.attempts.length === 0
      ? ''
      : `\n${renderTable(request.attempts, attemptColumns, { paint, width })}`;
  const images = request.images.length === 0 ? '' : `\n${renderImages(request.images, paint)}`;
  return renderFields(fields, paint) + attempts + images;
}

const attemptColumns: Column<Attempt>[] = [
  { title: 'ATTEMPT', text: ({ number }) => String(number) },
  { title: 'TARGET', text: ({ provider, model }) => `${provider}/${model}` },
  {
    title: 'OUTCOME',
    text: ({ outcome }) => outcome ?? 'running',
    colour: ({ outcome }) => (outcome === 'succeeded' ? 'green' : outcome && 'red'),
  },
  { title: 'TOOK', text: ({ duration_ms: ms }) => (ms === null ? '–' : durationText(ms)) },
  {
    title: 'COST',
    text: ({ cost_usd: usd, possibly_billed: maybe }) =>
      `${usdText(usd)}${maybe ? ' or more' : ''}`,
  },
  { title: 'WHY', text: ({ reason, error }) => error?.message ?? reason, isElastic: true },
];

/** A link opens without a key; it is never cut. */
export const renderImages = (images: readonly Image[], paint: Paint): string =>
  images.map((image) => `${describeImage(image, paint)}\n  ${plain(image.signed_url)}\n`).join('');

/** Where each was saved. */
export const renderSaved = (
  images: readonly Image[],
  files: readonly string[],
  paint: Paint,
): string =>
  images.map((image, index) => `${files[index]}  ${describeImage(image, paint)}\n`).join('');

const describeImage = (image: Image, paint: Paint) =>
  `${plain(image.id)}  ${paint('dim', `${image.width}×${image.height} ${plain(image.media_type)} ${bytesText(image.bytes)}`)}`;

/** What a finished request comes to, in one line. */
export function renderSummary(request: ForemanRequest, paint: Paint): string {
  const { completed_at: end, created_at: begin } = request;
  const took = end === null ? '' : ` in ${durationText(Date.parse(end) - Date.parse(begin))}`;
  const maker = request.images[0]?.provider ?? request.model;
  const text = `${request.id}: ${counted(request.images.length, 'image')} by ${maker}${took}, ${usdText(request.cost_usd)}`;
  return `${paint('dim', plain(text))}\n`;
}
