// The content route by itself, over the real bucket, cache and codec, with pictures to be converted.
import { OpenAPIHono } from '@hono/zod-openapi';
import { createAuthenticate } from '../../src/accounts/authenticate';
import { createReadKey, issueKey } from '../../src/accounts/keys/text';
import { createContentRoutes } from '../../src/images/content-routes';
import { signedUrl } from '../../src/images/links';
import type { ImageContent } from '../../src/images/serving';
import type { ImageId } from '../../src/images/types';
import { loadPhoton, type Photon, startPhoton } from '../../src/images/variants/photon';
import type { VariantFormat } from '../../src/images/variants/plan';
import { type HttpEnv, problemResponse, requestContext } from '../../src/platform/http';
import { newId, type UserId } from '../../src/platform/ids';
import { problemOf } from '../../src/problems';
import { NOW } from './support';

const origin = 'https://foreman.test';
const linkSecret = 'a-link-signing-secret-of-some-length';
const signing = { newest: 1, secrets: new Map([[1, 'a-key-signing-secret-of-some-length!']]) };

export const keyOf = (userId: UserId) =>
  issueKey({ userId, keyId: newId('key', NOW), signing }).key;

export const linkTo = (imageId: ImageId, expiresAt: number) =>
  signedUrl({ origin, imageId, expiresAt, secret: linkSecret });

export const addressOf = (imageId: ImageId) => `${origin}/v1/images/${imageId}/content`;

type Ask = (
  url: string,
  input?: { key?: string; headers?: Record<string, string>; method?: string; now?: number },
) => Promise<Response>;

/** Asks the content route of this content. */
export function askerOf(content: ImageContent): Ask {
  return async (url, { key, headers = {}, method = 'GET', now = NOW } = {}) => {
    const authenticate = createAuthenticate({
      readKey: createReadKey(signing),
      adminToken: 'an-admin-token-of-sufficient-length',
      signIn: async () => null,
      authorize: async () => ({ ok: true, scopes: ['requests:read'], name: 'test', until: null }),
      countFailure: async () => {},
      now: () => now,
    });
    const app = new OpenAPIHono<HttpEnv>();
    app.use(requestContext(origin));
    app.route('/', createContentRoutes({ authenticate, content, linkSecret, now: () => now }));
    app.onError((error, c) => {
      const { problem, details } = problemOf(error, c.get('correlationId'));
      if (problem.status === 500) throw error;
      return problemResponse(problem, details);
    });
    const all = new Headers(headers);
    if (key) all.set('authorization', `Bearer ${key}`);
    return app.request(url, { method, headers: all });
  };
}

export const bytesOf = async (answer: Response) => new Uint8Array(await answer.arrayBuffer());
export const codeOf = async (answer: Response) => (await answer.json<{ code: string }>()).code;

// --- Pictures --------------------------------------------------------------------------------------

const module = await loadPhoton();
const photon = (): Photon => startPhoton(module);

type Colour = readonly [red: number, green: number, blue: number, alpha: number];

export function encode(
  input: { width: number; height: number; format?: VariantFormat },
  colourAt: (x: number, y: number) => Colour,
): Uint8Array<ArrayBuffer> {
  const { width, height, format = 'png' } = input;
  const pixels = new Uint8Array(width * height * 4);
  for (let y = 0, at = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      for (const value of colourAt(x, y)) pixels[at++] = value;
    }
  }
  return photon().encode({ pixels, width, height }, format, 95);
}

export function decode(bytes: Uint8Array) {
  const { width, height, pixels } = photon().decode(bytes);
  return {
    width,
    height,
    colourAt: (x: number, y: number) => [...pixels.subarray((y * width + x) * 4).subarray(0, 4)],
  };
}
