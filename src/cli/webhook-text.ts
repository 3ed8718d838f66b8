/** Webhook endpoints and their deliveries as text. Pure. */
import type { Delivery, WebhookEndpoint } from '../client/types';
import { colourOf, type Paint } from './paint';
import type { Canvas } from './request-text';
import { type Column, renderFields, renderTable } from './table';
import { relativeText } from './times';

const endpointColumns: Column<WebhookEndpoint>[] = [
  { title: 'ID', text: ({ id }) => id },
  { title: 'STATUS', text: ({ status }) => status, colour: ({ status }) => colourOf(status) },
  { title: 'URL', text: ({ url }) => url, isElastic: true },
  { title: 'EVENTS', text: ({ events }) => events.join(' '), isElastic: true },
  { title: 'DESCRIPTION', text: ({ description }) => description, isElastic: true },
];

export const renderEndpoints = (endpoints: readonly WebhookEndpoint[], canvas: Canvas): string =>
  endpoints.length === 0 ? 'No endpoints.\n' : renderTable(endpoints, endpointColumns, canvas);

/** With its secret where the answer has one. */
export function renderEndpoint(
  endpoint: WebhookEndpoint & { readonly secret?: string },
  { paint, now }: { readonly paint: Paint; readonly now: number },
): string {
  const {
    disabled,
    failing_since: failing,
    previous_secret_expires_at: previous,
    secret,
  } = endpoint;
  return renderFields(
    [
      ['endpoint', endpoint.id],
      ['status', endpoint.status, colourOf(endpoint.status)],
      ['url', endpoint.url],
      ['events', endpoint.events.join(' ')],
      ['description', endpoint.description],
      ['disabled', disabled && `${relativeText(disabled.at, now)}: ${disabled.message}`, 'yellow'],
      ['failing', failing && `since ${relativeText(failing, now)}`, 'red'],
      ['old secret', previous && `signs until ${relativeText(previous, now)}`],
      ['secret', secret, 'bold'],
      ['', secret && 'Keep it: it is not shown again.', 'yellow'],
    ],
    paint,
  );
}

const deliveryColumns = (now: number): Column<Delivery>[] => [
  { title: 'ID', text: ({ id }) => id },
  { title: 'STATUS', text: ({ status }) => status, colour: ({ status }) => colourOf(status) },
  { title: 'TYPE', text: ({ type }) => type },
  { title: 'CREATED', text: ({ created_at: at }) => relativeText(at, now) },
  { title: 'TRIES', text: ({ attempts }) => String(attempts.length) },
  { title: 'NEXT', text: ({ next_attempt_at: at }) => relativeText(at, now) },
  { title: 'LAST ANSWER', text: lastAnswer, isElastic: true },
];

export const renderDeliveries = (
  deliveries: readonly Delivery[],
  { now, ...canvas }: Canvas & { readonly now: number },
): string =>
  deliveries.length === 0
    ? 'No deliveries.\n'
    : renderTable(deliveries, deliveryColumns(now), canvas);

function lastAnswer({ attempts, reason }: Delivery): string {
  const last = attempts.at(-1);
  const said = last ? String(last.status ?? last.error ?? '–') : '–';
  return reason === null ? said : `${said} (${reason})`;
}
