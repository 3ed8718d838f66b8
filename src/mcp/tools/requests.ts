/** Tools about requests that were made, by whatever surface. */
import { z } from 'zod';
import { isId, type RequestId } from '../../platform/ids';
import { requestNotFound } from '../../requests/errors';
import { listQuerySchema, pageOf, readListQuery } from '../../requests/listing';
import { isTerminal } from '../../requests/types';
import {
  outcomeResult,
  requestAnswerSchema,
  requestResult,
  requestSummarySchema,
} from '../answers';
import { waitSeconds } from '../arguments';
import { textBlock } from '../content';
import { pageArguments, queryOf, TIME_FORM } from '../paging';
import { tool } from '../tool';
import { idIn } from '../uris';
import { awaitEnd } from '../waiting';

const reading = {
  readOnlyHint: true,
  destructiveHint: false,
  idempotentHint: true,
  openWorldHint: false,
};
const id = z.string().max(200).describe('Of a request, as generate_image answered it: req_…');

const list = listQuerySchema.shape;

export const requestTools = [
  tool({
    name: 'get_request',
    title: 'Look at a request',
    description:
      'A request as it is now, without waiting: its state, what it waits for, its images, and every ' +
      'attempt with provider, outcome and cost.',
    annotations: reading,
    input: z.strictObject({ id }),
    output: requestAnswerSchema,
    run: async ({ id: named }, { caller, deps }) => {
      const { credential } = caller;
      return requestResult(await deps.requests.get({ credential, id: requestId(named) }), deps);
    },
  }),
  tool({
    name: 'wait_for_request',
    title: 'Wait for a request',
    description:
      'Waits up to wait_seconds for a request to end, tells progress, and answers with its images ' +
      'and pictures of them. Call it again while the answer says that the request goes on.',
    annotations: reading,
    input: z.strictObject({ id, wait_seconds: waitSeconds }),
    output: requestAnswerSchema,
    run: async ({ id: named, wait_seconds: seconds }, call) => {
      const { caller, deps, signal, tell } = call;
      const { credential } = caller;
      const known = await deps.requests.get({ credential, id: requestId(named) });
      const waiting = { credential, known, ms: seconds * 1000, signal, tell };
      return outcomeResult(isTerminal(known.state) ? known : await awaitEnd(waiting, deps), call);
    },
  }),
  tool({
    name: 'cancel_request',
    title: 'Cancel a request',
    description:
      'Ends a request that has not ended, and answers with it; one that has ended is answered as it ' +
      'is. A provider may charge for what it had begun.',
    annotations: { ...reading, readOnlyHint: false, destructiveHint: true },
    input: z.strictObject({ id }),
    output: requestAnswerSchema,
    run: async ({ id: named }, { caller, deps }) => {
      const { credential } = caller;
      return requestResult(await deps.requests.cancel({ credential, id: requestId(named) }), deps);
    },
  }),
  tool({
    name: 'list_requests',
    title: 'List requests',
    description:
      'Requests of this account, newest first, in short; get_request has all of one. What was made ' +
      'in the last moments may be missing.',
    annotations: reading,
    input: z.strictObject({
      ...pageArguments,
      status: list.status,
      model: list.model.describe('As it was asked for'),
      created_after: list.created_after.describe(TIME_FORM),
      created_before: list.created_before.describe(TIME_FORM),
      updated_after: list.updated_after.describe(`${TIME_FORM}: those that have changed since`),
      sort_direction: list.sort_direction.describe('By creation; desc: newest first'),
      metadata: z
        .record(z.string().min(1).max(64), z.string().max(512))
        .optional()
        .describe('Only those that have these'),
    }),
    output: z.object({
      items: z.array(requestSummarySchema),
      next_cursor: z.string().nullable().describe('null on the last page'),
    }),
    run: async ({ metadata = {}, ...asked }, { caller, deps }) => {
      const filters = Object.entries(metadata).map(([key, value]) => [`metadata.${key}`, value]);
      const query = queryOf(listQuerySchema, { ...asked, ...Object.fromEntries(filters) });
      const page = readListQuery(query, caller.credential.userId);
      const limit = page.query.limit + 1;
      const rows = await deps.requests.list({ ...page.query, limit });
      const { rows: shown, nextCursor } = pageOf(rows, page);
      const items = shown.map((row) => requestSummarySchema.parse(deps.present(row.state)));
      const lines = items.map(
        ({ id: one, status, model, images }) =>
          `${one} ${status}, ${model}, ${images.length} image(s)`,
      );
      const more = nextCursor === null ? [] : ['There are more: give next_cursor as cursor.'];
      const text = [...(lines.length > 0 ? lines : ['None.']), ...more].join('\n');
      return {
        content: [textBlock(text)],
        structuredContent: { items, next_cursor: nextCursor },
      };
    },
  }),
];

/** @throws AppError `not_found` */
function requestId(text: string): RequestId {
  const named = idIn(text);
  if (!isId('req', named)) throw requestNotFound(text);
  return named;
}
