/** The JSON of webhook endpoints as clients see it. */
import { z } from '@hono/zod-openapi';
import { eventFilters, MAX_ENDPOINTS } from './types';

const MAX_URL_CHARS = 2_048;
const MAX_DESCRIPTION_CHARS = 256;
const MAX_OVERLAP_SECONDS = 604_800;
const DEFAULT_OVERLAP_SECONDS = 86_400;

const time = z.iso.datetime();
const url = z.string().max(MAX_URL_CHARS).openapi({
  description: 'https and public, without a user name, a password or another port than 443.',
  example: 'https://example.com/hooks/foreman',
});
const events = z
  .array(z.enum(eventFilters))
  .min(1)
  .max(eventFilters.length)
  .transform((filters) => [...new Set(filters)]);
const description = z
  .string()
  .max(MAX_DESCRIPTION_CHARS)
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'must be well-formed text without control characters');

export const newEndpointSchema = z
  .strictObject({
    url,
    events: events.default(['*']).openapi({
      description:
        'What to be told of; everything unless said otherwise. `request.*` and `endpoint.*` stand ' +
        'for all events of their noun, those too that are yet to come.',
    }),
    description: description.default(''),
  })
  .openapi('NewWebhookEndpoint');

export const endpointChangesSchema = z
  .strictObject({
    url: url.optional(),
    events: events.optional(),
    description: description.optional(),
  })
  .refine(
    (changes) => Object.values(changes).some((value) => value !== undefined),
    'must name what to change: url, events or description',
  )
  .openapi('WebhookEndpointChanges');

export const secretRotationSchema = z
  .strictObject({
    overlap_seconds: z
      .int()
      .min(0)
      .max(MAX_OVERLAP_SECONDS)
      .default(DEFAULT_OVERLAP_SECONDS)
      .openapi({ description: 'How long the old secret goes on signing beside the new one.' }),
  })
  .openapi('WebhookSecretRotation');

const secret = z.string().openapi({ example: 'whsec_…' });
const endpointFields = {
  id: z.string().openapi({ example: 'whk_…' }),
  url: z.string(),
  description: z.string(),
  events: z.array(z.enum(eventFilters)),
  status: z.enum(['active', 'disabled']),
  disabled: z
    .object({
      reason: z.enum(['requested', 'gone', 'failing']).openapi({
        description:
          'requested: by its owner; gone: it answered 410; failing: nothing but failures for five days',
      }),
      at: time,
      message: z.string(),
    })
    .nullable(),
  failing_since: time
    .nullable()
    .openapi({ description: 'The first failure since anything was delivered' }),
  previous_secret_expires_at: time
    .nullable()
    .openapi({ description: 'Until then deliveries are signed with the old secret, too' }),
  created_at: time,
  updated_at: time,
};
export const endpointSchema = z.object(endpointFields).openapi('WebhookEndpoint');
export const endpointWithSecretSchema = z
  .object({
    ...endpointFields,
    secret: secret.openapi({ description: 'Shown in this answer only' }),
  })
  .openapi('WebhookEndpointWithSecret');
export const endpointListSchema = z
  .object({
    items: z.array(endpointSchema),
    next_cursor: z.null().openapi({ description: `There are ${MAX_ENDPOINTS} at the most.` }),
  })
  .openapi('WebhookEndpointList');
export const rotatedDefaultSecretSchema = z
  .object({ secret, previous_secret_expires_at: time.nullable() })
  .openapi('RotatedWebhookSecret');

export const pingSchema = z
  .object({
    ok: z.boolean().openapi({ description: 'Whether the answer was a 2xx' }),
    status: z.int().nullable().openapi({ description: 'null: no answer came' }),
    duration_ms: z.int(),
    response: z.string().nullable().openapi({ description: 'The first 1 kB of the answer' }),
    error: z.string().nullable().openapi({ description: 'Why no answer came' }),
  })
  .openapi('WebhookPing');
