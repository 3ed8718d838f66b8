// A fake of the Gemini API's generateContent, for image models. Every refusal of content is a 200.
// Source: ai.google.dev/api/generate-content and google.rpc's error model.
import type { ServerResponse } from 'node:http';
import { png } from './png.ts';
import { type FakeCall, sendJson, startFake } from './server.ts';

export type GoogleBehaviour =
  | 'ok'
  /** A picture of its thinking in front of the one that counts. */
  | 'thoughts'
  | 'prompt-blocked'
  | 'prompt-prohibited'
  | 'image-safety'
  | 'prohibited-content'
  | 'image-recitation'
  | 'no-image'
  | 'text-only'
  | 'no-candidates'
  | 'html'
  | 'invalid-argument'
  | 'bad-key'
  | 'permission-denied'
  | 'no-such-model'
  | 'rate-limited'
  | 'no-free-quota'
  | 'credits-depleted'
  | 'no-capacity'
  | 'overloaded'
  | 'internal'
  | 'deadline-exceeded'
  | 'reset'
  | 'reset-mid-answer'
  | 'hang';

const PATH = /^\/v1beta\/models\/[\w.-]+:generateContent$/;
const RESPONSE_ID = 'mHk5aYr2KJ6Xz7IPgtWV0AE';

const info = (reason: string) => ({
  '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
  reason,
  domain: 'googleapis.com',
});
const retryInfo = (retryDelay: string) => ({
  '@type': 'type.googleapis.com/google.rpc.RetryInfo',
  retryDelay,
});
const quotaFailure = (quotaId: string, quotaValue: string) => ({
  '@type': 'type.googleapis.com/google.rpc.QuotaFailure',
  violations: [
    {
      quotaMetric: 'generativelanguage.googleapis.com/generate_content_requests',
      quotaId,
      quotaDimensions: { location: 'global', model: 'gemini-2.5-flash-image' },
      quotaValue,
    },
  ],
});

type Refusal = readonly [code: number, status: string, message: string, ...details: object[]];

const ERRORS: Partial<Record<GoogleBehaviour, Refusal>> = {
  'invalid-argument': [400, 'INVALID_ARGUMENT', 'Request contains an invalid argument.'],
  'bad-key': [
    400,
    'INVALID_ARGUMENT',
    'API key not valid. Please pass a valid API key.',
    info('API_KEY_INVALID'),
  ],
  'permission-denied': [
    403,
    'PERMISSION_DENIED',
    'Your API key was reported as leaked. Please use another API key.',
  ],
  'no-such-model': [404, 'NOT_FOUND', 'models/gemini-0 is not found for API version v1beta.'],
  'rate-limited': [
    429,
    'RESOURCE_EXHAUSTED',
    'You exceeded your current quota, please check your plan and billing details.',
    quotaFailure('GenerateRequestsPerMinutePerProjectPerModel', '10'),
    retryInfo('34.074824224s'),
  ],
  'no-free-quota': [
    429,
    'RESOURCE_EXHAUSTED',
    'You exceeded your current quota. Quota exceeded for metric: generate_content_free_tier_requests, limit: 0',
    quotaFailure('GenerateRequestsPerDayPerProjectPerModel-FreeTier', '0'),
    retryInfo('45s'),
  ],
  'credits-depleted': [429, 'RESOURCE_EXHAUSTED', 'Your prepayment credits are depleted.'],
  'no-capacity': [
    503,
    'UNAVAILABLE',
    'No capacity available for model gemini-2.5-flash-image on the server.',
    info('MODEL_CAPACITY_EXHAUSTED'),
  ],
  overloaded: [503, 'UNAVAILABLE', 'The model is overloaded. Please try again later.'],
  internal: [500, 'INTERNAL', 'An internal error has occurred.'],
  'deadline-exceeded': [
    504,
    'DEADLINE_EXCEEDED',
    'Deadline expired before operation could complete.',
  ],
};

const picture = () => ({
  inlineData: { mimeType: 'image/png', data: png(64, 64).toString('base64') },
});
const rating = (category: string, blocked: boolean) => ({
  category: `HARM_CATEGORY_${category}`,
  probability: blocked ? 'HIGH' : 'NEGLIGIBLE',
  ...(blocked ? { blocked } : {}),
});
const candidate = (finishReason: string, parts?: object[], finishMessage?: string) => ({
  candidates: [
    {
      ...(parts ? { content: { role: 'model', parts } } : {}),
      finishReason,
      ...(finishMessage ? { finishMessage } : {}),
      index: 0,
    },
  ],
});

const ANSWERS: Partial<Record<GoogleBehaviour, () => object>> = {
  thoughts: () =>
    candidate('STOP', [
      { text: 'Composing the scene.', thought: true },
      { inlineData: { mimeType: 'image/png', data: png(8, 8).toString('base64') }, thought: true },
      { ...picture(), thoughtSignature: 'c2lnbmF0dXJl' },
    ]),
  'prompt-blocked': () => ({
    promptFeedback: {
      blockReason: 'SAFETY',
      safetyRatings: [rating('SEXUALLY_EXPLICIT', true), rating('HARASSMENT', false)],
    },
  }),
  'prompt-prohibited': () => ({ promptFeedback: { blockReason: 'PROHIBITED_CONTENT' } }),
  'image-safety': () => candidate('IMAGE_SAFETY', undefined, 'Unable to show the generated image.'),
  'prohibited-content': () => candidate('PROHIBITED_CONTENT'),
  'image-recitation': () => candidate('IMAGE_RECITATION'),
  'no-image': () => candidate('NO_IMAGE'),
  'text-only': () => candidate('STOP', [{ text: 'I would rather describe it.' }]),
  'no-candidates': () => ({}),
};

function createGoogle() {
  let billed = 0;
  return {
    handle(call: FakeCall, response: ServerResponse, take: () => GoogleBehaviour) {
      if (call.method !== 'POST' || !PATH.test(call.path)) {
        return sendJson(response, 404, errorBody(404, 'NOT_FOUND', 'Not found.'));
      }
      if (!call.headers['x-goog-api-key']) {
        const message = "Method doesn't allow unregistered callers.";
        return sendJson(response, 403, errorBody(403, 'PERMISSION_DENIED', message));
      }
      const behaviour = take();
      if (behaviour === 'hang') return;
      if (behaviour === 'html') {
        response.writeHead(200, { 'content-type': 'text/html' });
        response.end('<!DOCTYPE html><p>Sign in to continue</p>');
        return;
      }
      const error = ERRORS[behaviour];
      if (error) return sendJson(response, error[0], errorBody(...error));
      const answer = ANSWERS[behaviour]?.() ?? candidate('STOP', [{ text: 'Here.' }, picture()]);
      if (JSON.stringify(answer).includes('inlineData')) billed += 1;
      if (behaviour === 'reset') return void response.socket?.resetAndDestroy();
      const body = {
        ...answer,
        usageMetadata: { promptTokenCount: 8, candidatesTokenCount: 1290, totalTokenCount: 1298 },
        modelVersion: 'gemini-2.5-flash-image',
        responseId: RESPONSE_ID,
      };
      if (behaviour !== 'reset-mid-answer') return sendJson(response, 200, body);
      const bytes = Buffer.from(JSON.stringify(body));
      response.writeHead(200, { 'content-length': bytes.length });
      response.write(bytes.subarray(0, bytes.length / 2), () => response.socket?.resetAndDestroy());
    },
    facts: () => ({ billed }),
    reset() {
      billed = 0;
    },
  };
}

const errorBody = (code: number, status: string, message: string, ...details: object[]) => ({
  error: { code, message, status, ...(details.length > 0 ? { details } : {}) },
});

export const startFakeGoogle = (port?: number) =>
  startFake<GoogleBehaviour>(createGoogle, 'ok', port);
