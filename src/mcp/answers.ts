/** How a request is told to an agent: a short text, data, links, and pictures of what came out. */
import type { CallToolResult } from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { Snapshot } from '../foreman/intake';
import { type RequestView, requestViewSchema } from '../requests/view';
import type { McpDeps, Session } from './caller';
import { lineOf, linkBlock, pictureBlocks, textBlock } from './content';
import { describeProgress } from './progress';

export const requestAnswerSchema = z.object({
  request: requestViewSchema,
  next_step: z.string().nullable().describe('What to call next; null once it has ended'),
});

const summaryFields = {
  id: true,
  status: true,
  model: true,
  images: true,
  error: true,
  warnings: true,
  metadata: true,
  version: true,
  cost_usd: true,
  created_at: true,
  completed_at: true,
  expires_at: true,
} as const;

/** Without its input and its attempts: get_request has them. */
export const requestSummarySchema = requestViewSchema.pick(summaryFields);

/** As it is, whatever became of it. */
export function requestResult(snapshot: Snapshot, { present }: McpDeps): CallToolResult {
  const request = present(snapshot.state, snapshot);
  const next_step = nextStep(request);
  return {
    content: [textBlock(textOf(request, next_step)), ...request.images.map(linkBlock)],
    structuredContent: { request, next_step },
  };
}

/** What an agent has waited for: with pictures, and a failure if there are none. */
export async function outcomeResult(
  snapshot: Snapshot,
  { caller, deps }: Session,
): Promise<CallToolResult> {
  const request = deps.present(snapshot.state, snapshot);
  const { status, images } = request;
  if (status === 'failed' || status === 'expired' || status === 'canceled') {
    const error = request.error ?? {
      code: 'canceled',
      message: 'The request was canceled.',
      details: {},
    };
    const text = `${error.code}: ${error.message}\n${textOf(request, null)}`;
    return { isError: true, content: [textBlock(text)], structuredContent: { error, request } };
  }
  const { content, structuredContent } = requestResult(snapshot, deps);
  const viewer = caller.credential.userId;
  const pictures = await pictureBlocks(images, { ...deps, viewer });
  return { content: [...(content ?? []), ...pictures], structuredContent };
}

function nextStep({ id, status }: RequestView): string | null {
  if (status !== 'queued' && status !== 'running') return null;
  return (
    `It goes on by itself: call wait_for_request with the id ${id} to collect the images, ` +
    'or cancel_request to end it.'
  );
}

function textOf(request: RequestView, next: string | null): string {
  const { id, status, images, warnings, cost_usd: cost, model } = request;
  const state = next === null ? status : describeProgress(request);
  const count = images.length === 1 ? '1 image' : `${images.length} images`;
  const made = status === 'succeeded' ? `, ${count} by ${model}, ${cost} USD` : '';
  return [
    `${id}: ${state}${made}.`,
    ...images.map(lineOf),
    ...warnings.map((warning) => `Warning: ${warning}.`),
    ...(next === null ? [] : [next]),
  ].join('\n');
}
