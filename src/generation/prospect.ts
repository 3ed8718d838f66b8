/** A dry run's answer: the plan, before anything is accepted. */
import { z } from '@hono/zod-openapi';
import type { TargetVerdicts } from '../requests/types';
import type { Assessment } from './assess';

export interface Prospect {
  readonly model: string;
  readonly assessment: Assessment;
  /** Of the targets that would be tried. */
  readonly health: TargetVerdicts;
  readonly warnings: readonly string[];
}

const usd = z.number().describe('US dollars, for the whole request');
const seconds = z.object({ p50: z.number(), p90: z.number() });

export const prospectSchema = z
  .object({
    dry_run: z.literal(true),
    model: z.string(),
    targets: z.array(
      z.object({
        provider: z.string(),
        model: z.string(),
        order: z.int().nullable().describe('1 is tried first; null: it would be skipped'),
        skipped_reason: z.string().nullable(),
        price_usd: usd,
        breaker: z.enum(['closed', 'half_open', 'open', 'cooling', 'full']).nullable(),
        eta_seconds: seconds
          .nullable()
          .describe('From recent runs; null until there are enough of them'),
      }),
    ),
    price_usd: z.object({ min: usd, max: usd }).nullable(),
    eta_seconds: seconds.nullable().describe('Of the first target, queueing left aside'),
    warnings: z.array(z.string()),
  })
  .openapi('Plan');
export type ProspectView = z.output<typeof prospectSchema>;

/** Targets that are blocked are tried after those that are not. */
export function presentProspect({ model, assessment, health, warnings }: Prospect): ProspectView {
  const targets = assessment.targets.map(({ candidate, skipped }) => ({
    candidate,
    skipped,
    verdict: health[candidate.name] ?? null,
  }));
  const inTurn = targets
    .filter(({ skipped }) => skipped === null)
    .sort((a, b) => Number(isBlocked(a)) - Number(isBlocked(b)));
  const [first] = inTurn;
  return {
    dry_run: true,
    model,
    targets: targets.map((entry) => ({
      provider: entry.candidate.target.provider,
      model: entry.candidate.target.model,
      order: entry.skipped === null ? inTurn.indexOf(entry) + 1 : null,
      skipped_reason: entry.skipped ?? entry.verdict?.reason ?? null,
      price_usd: entry.candidate.priceMicros / 1e6,
      breaker: entry.verdict?.state ?? null,
      eta_seconds: secondsOf(entry.verdict),
    })),
    price_usd: assessment.possible
      ? { min: assessment.cheapestMicros / 1e6, max: assessment.dearestMicros / 1e6 }
      : null,
    eta_seconds: first ? secondsOf(first.verdict) : null,
    warnings: [...warnings],
  };
}

const isBlocked = (of: { readonly verdict: TargetVerdicts[keyof TargetVerdicts] | null }) =>
  of.verdict?.blockedUntil != null;

function secondsOf(verdict: TargetVerdicts[keyof TargetVerdicts] | null) {
  if (!verdict?.pace) return null;
  const { p50Ms, p90Ms } = verdict.pace;
  return { p50: p50Ms / 1000, p90: p90Ms / 1000 };
}
