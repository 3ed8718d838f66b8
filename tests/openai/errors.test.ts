import { describe, expect, it } from 'vitest';
import { assess } from '../../src/generation/assess';
import { noTargetAvailable } from '../../src/generation/errors';
import { builtInModels } from '../../src/generation/models';
import { passedOverTargets } from '../../src/generation/plan';
import { ends, failureOf, failureOfEnd, faults } from '../../src/openai/errors';
import { AppError } from '../../src/platform/errors';
import { problemOf } from '../../src/problems';
import { type RequestError, type RequestState, requestErrorCodes } from '../../src/requests/types';
import { catalogOf, inputOf } from '../support/catalog';
import { queued } from '../support/states';

const [problems = ''] = Object.values(
  import.meta.glob<string>('../../src/problems.ts', {
    query: '?raw',
    import: 'default',
    eager: true,
  }),
);

const failed = (error: RequestError): RequestState => {
  const { wait: _, holdMicros: __, ...state } = queued() as RequestState & { status: 'queued' };
  return { ...state, status: 'failed', completedAt: state.createdAt, error };
};

describe('the table', () => {
  it('has every code that HTTP knows, with a status of the same kind', () => {
    const [, table = ''] = /const problems = \{\n([\s\S]*?)\n\}/.exec(problems) ?? [];
    const codes = [...table.matchAll(/^ {2}(\w+): \{/gm)].map(([, code = '']) => code);
    expect(codes.length).toBeGreaterThan(25);
    expect(Object.keys(faults).sort()).toEqual([...codes, 'internal_error'].sort());
    for (const code of codes) {
      const { status } = problemOf(new AppError(code, ''), 'c').problem;
      expect([code, Math.floor(faults[code as keyof typeof faults].status / 100)]).toEqual([
        code,
        Math.floor(status / 100),
      ]);
    }
  });

  it('has every way in which a request ends without images, and none is tried again', () => {
    for (const code of requestErrorCodes) {
      const failure = failureOfEnd(failed({ code, message: 'why', details: {} }));
      expect(failure.status).toBe(ends[code].status);
      expect(failure.headers).toEqual({ 'x-should-retry': 'false' });
      expect(failure.body.error).toMatchObject({ message: 'why', type: ends[code].type });
    }
  });
});

describe('a failure', () => {
  it('gives no advice that names fields which OpenAI has not', () => {
    const model = builtInModels.find(({ id }) => id === 'flux-kontext-max') ?? expect.fail();
    const input = inputOf({ width: 1024, height: 1024 });
    const asked = { model: model.id, input, maxCostMicros: null };
    const { targets } = assess(catalogOf([model]), asked);
    const fault = noTargetAvailable(passedOverTargets(targets.map(({ candidate }) => candidate)));
    const { error } = failureOf(fault).body;
    expect(error).toMatchObject({ code: 'no_target_available', param: 'model' });
    expect(error.message).toBe(
      'No target of this model can serve this request. ' +
        'bfl/flux-kontext-max: sets the pixels itself: leave size out.',
    );
  });

  it('of a refusal says at which stage and for what', () => {
    const moderation = { stage: 'output', categories: ['violence'], provider: 'openai' };
    const details = { retryable: false, moderation };
    expect(failureOfEnd(failed({ code: 'content_refused', message: 'no', details }))).toMatchObject(
      {
        status: 400,
        body: {
          error: {
            type: 'image_generation_user_error',
            code: 'moderation_blocked',
            moderation_details: { moderation_stage: 'output', categories: ['violence'] },
          },
        },
      },
    );
  });

  it('of a request that goes on may be tried again', () => {
    const failure = failureOfEnd(queued());
    expect([failure.status, failure.headers['x-should-retry']]).toEqual([504, undefined]);
  });

  it.each([
    ['rate_limited', 5_000, undefined, 'rate_limit_exceeded', undefined, '5'],
    ['rate_limited', 61_000, undefined, 'rate_limit_exceeded', 'false', '61'],
    ['rate_limited', undefined, undefined, 'rate_limit_exceeded', 'false', undefined],
    ['quota_exceeded', 9_000_000, 'images_per_day', 'rate_limit_exceeded', 'false', '9000'],
    ['quota_exceeded', 9_000_000, 'monthly_budget_usd', 'insufficient_quota', 'false', '9000'],
    ['unavailable', 5_000, undefined, 'unavailable', undefined, '5'],
    ['conflict', undefined, undefined, 'conflict', 'false', undefined],
  ])(
    '%s that frees in %s ms (%s) is %s, x-should-retry %s',
    (code, retryAfterMs, limit, theirs, shouldRetry, after) => {
      const details = { ...(retryAfterMs ? { retryAfterMs } : {}), extensions: { limit } };
      const { headers, body } = failureOf({ code, message: 'why', details });
      expect([body.error.code, headers['x-should-retry'], headers['retry-after']]).toEqual([
        theirs,
        shouldRetry,
        after,
      ]);
    },
  );

  it.each([
    ['width', 'size'],
    ['metadata.user', 'user'],
    ['provider_options', null],
    ['prompt', 'prompt'],
    ['__proto__', '__proto__'],
    ['constructor', 'constructor'],
  ])('about %s names %s', (path, param) => {
    const errors = Array(2).fill({ path, message: 'is wrong' });
    const fault = { code: 'invalid_request', message: `Not valid: ${path}.`, details: { errors } };
    const { error } = failureOf(fault).body;
    expect(error.param).toBe(param);
    expect(error.message).toBe(param === null ? 'is wrong.' : `'${param}': is wrong.`);
  });
});
