/** Tools that have images made. */
import type { CallToolResult } from '@modelcontextprotocol/server';
import { readIdempotencyKey } from '../../requests/idempotency';
import type { Submitted } from '../../requests/service';
import { outcomeResult, requestAnswerSchema } from '../answers';
import { type AskedArguments, editArguments, generateArguments, submissionOf } from '../arguments';
import { type ToolCall, tool } from '../tool';
import { awaitEnd } from '../waiting';

const annotations = {
  readOnlyHint: false,
  destructiveHint: false,
  idempotentHint: false,
  openWorldHint: true,
};

const HOW_IT_GOES =
  'Waits up to wait_seconds and tells progress. If that is not enough, the answer has the id of a ' +
  'request that goes on: collect it with wait_for_request. Breaking the call off ends only the ' +
  'waiting; cancel_request ends the request. With an idempotency_key it is safe to call again: the ' +
  'same request is answered with, and billed once. The answer has a link for each image, signed ' +
  'URLs that open without a key, and pictures of them.';

export const generatingTools = [
  tool({
    name: 'generate_image',
    title: 'Generate images',
    description:
      'Makes images from a text prompt, and may cost money: list_models has prices. Only prompt is ' +
      `needed. ${HOW_IT_GOES}`,
    annotations,
    input: generateArguments,
    output: requestAnswerSchema,
    run: generate,
  }),
  tool({
    name: 'edit_image',
    title: 'Edit an image',
    description:
      'Makes images from an image and a prompt: changes it, varies it, or fills in what a mask ' +
      'leaves open; may cost money. The image itself is kept as it is. Models differ in what they ' +
      `take: see capabilities in list_models. ${HOW_IT_GOES}`,
    annotations,
    input: editArguments,
    output: requestAnswerSchema,
    run: generate,
  }),
];

async function generate(asked: AskedArguments, call: ToolCall): Promise<CallToolResult> {
  const { caller, deps } = call;
  const { credential, origin, correlationId, traceparent } = caller;
  const idempotencyKey = readIdempotencyKey(asked.idempotency_key);
  const { body, rawBody } = submissionOf(asked, call.given);
  // Inputs are stored before admission: not for a key that is not known to be active.
  if (body.image !== undefined || body.mask !== undefined) await caller.mayWrite();
  const context = { origin, correlationId, traceparent, idempotencyKey };
  const submitted = await deps.generation.submit({ credential, body, rawBody, context });
  const ms = asked.wait_seconds * 1000;
  return outcomeResult(await held(submitted, ms, call), call);
}

/** It is accepted: whatever becomes of the waiting, its id must be heard. */
const held = (known: Submitted, ms: number, { caller, deps, signal, tell }: ToolCall) =>
  awaitEnd({ credential: caller.credential, known, ms, signal, tell }, deps).catch(() => known);
