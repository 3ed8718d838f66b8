/** What a prediction says: that it goes on, what it made, or why it ended. */
import { z } from 'zod';
import { delivered } from './direct';
import { invalidOutput, noProblem, type Problem, refused } from './failures';
import { checkAfterMs, jobFailed, readJson } from './jobs';
import type { PollAnswer, PollContext } from './provider';
import { type Confidential, redact } from './redact';
import type { OpenUrl } from './sdk-images';

export const predictionId = z.string().regex(/^[\w-]{1,128}$/);

const text = z.string().nullish().catch(null);

export const predictionSchema = z.object({
  id: predictionId,
  status: z.string(),
  output: z.unknown().optional(),
  error: text,
  data_removed: z.boolean().nullish().catch(null),
  metrics: z
    .object({ predict_time: z.number().nullish().catch(null) })
    .nullish()
    .catch(null),
});
export type Prediction = z.output<typeof predictionSchema>;

interface Reading {
  readonly openImage: OpenUrl;
  readonly context: PollContext;
  readonly confidential: Confidential;
}

export function readPrediction(prediction: Prediction, reading: Reading): PollAnswer {
  switch (prediction.status) {
    case 'succeeded':
      return readOutput(prediction, reading);
    case 'failed':
      return readFailure(prediction, reading);
    case 'canceled':
      return ended(prediction, reading, 'the prediction was canceled, or ran past its deadline');
    case 'aborted':
      return ended(prediction, reading, 'the prediction did not start before its deadline');
    default:
      return {
        outcome: 'pending',
        checkAfterMs: checkAfterMs(reading.context),
        queuePosition: null,
        isQueued: prediction.status === 'starting',
      };
  }
}

const outputSchema = z.union([
  z.string().transform((url) => [url]),
  z.array(z.string().nullable()).transform((urls) => urls.filter((url) => url !== null)),
]);

function readOutput({ id, output, data_removed }: Prediction, { openImage }: Reading): PollAnswer {
  if (data_removed) {
    const message = 'replicate has removed what the prediction made';
    return invalidOutput({ message, providerRequestId: id });
  }
  const read = outputSchema.safeParse(output);
  const sources = read.success ? read.data.filter((url) => /^(https?|data):/i.test(url)) : [];
  return delivered({
    provider: 'replicate',
    pictures: sources.map((source) => ({ source, seed: null })),
    openUrl: openImage,
    providerRequestId: id,
    warnings: [],
  });
}

function readFailure(prediction: Prediction, { confidential }: Reading): PollAnswer {
  const problem = problemIn(prediction.error ?? null);
  const { id: providerRequestId } = prediction;
  if (problem.refusal) {
    return refused({
      provider: 'replicate',
      ...problem.refusal,
      code: problem.code,
      message: redact(problem.message ?? '', confidential),
      providerRequestId,
    });
  }
  return jobFailed({
    provider: 'replicate',
    code: problem.code ?? 'prediction_failed',
    message: problem.message,
    confidential,
    providerRequestId,
    possiblyBilled: hasRun(prediction),
  });
}

function ended(prediction: Prediction, { confidential }: Reading, message: string): PollAnswer {
  const { id: providerRequestId, status } = prediction;
  return jobFailed({
    provider: 'replicate',
    code: `prediction_${status}`,
    message,
    confidential,
    providerRequestId,
    // What is aborted never ran; what is canceled is charged for the time it took.
    possiblyBilled: status === 'canceled',
  });
}

/** Time on a machine is what Replicate charges for, whatever came of it. */
const hasRun = ({ metrics }: Prediction) => (metrics?.predict_time ?? 0) > 0;

/**
 * Replicate passes on what each model raises, so a refusal is known by its words alone: those of the
 * cog models of Stable Diffusion and FLUX, of Black Forest Labs' API, and of the code E005.
 */
const REFUSALS = [
  /\bNSFW\b/i,
  /\bE005\b/,
  /flagged as sensitive/i,
  /flagged by (?:the|our|a) (?:safety|content|moderation)/i,
  /\b(?:request|content) moderated\b/i,
  /content[ _]policy[ _]violation/i,
  /violat\w+ [^.]{0,60}\b(?:content|usage|safety) polic/i,
];
const OF_INPUT = /\b(?:input|prompt|request)\b/i;
const OF_OUTPUT = /\b(?:outputs?|generated|images?|NSFW content detected)\b/i;

/** `…(E005)`, `E6716: …`. */
const CODE = /\b(E\d{3,4})\b/;

export function problemIn(message: string | null): Problem {
  if (message === null) return noProblem;
  const code = CODE.exec(message)?.[1] ?? null;
  const refuses = REFUSALS.some((words) => words.test(message));
  const isInput = OF_INPUT.test(message) && !OF_OUTPUT.test(message);
  return {
    ...noProblem,
    message,
    code,
    refusal: refuses ? { stage: isInput ? 'input' : 'output', categories: [] } : null,
  };
}

const errorBody = z.object({ title: text, detail: text });

/** The API's own errors: `{title, detail, status}`. */
export function readProblem(body: string): Problem {
  const error = readJson(body, errorBody);
  return problemIn(error?.detail || error?.title || null);
}

/** `Request was throttled. Your rate limit resets in ~30s.` */
export function statedWaitMs(body: string): number | null {
  const seconds = /resets in ~?(\d{1,5}(?:\.\d+)?) ?s/.exec(body)?.[1];
  return seconds === undefined ? null : Math.ceil(Number(seconds) * 1000);
}
