/** What would become of a request: the one judgement behind a refusal at submit and a dry run. Pure. */
import type { TargetVerdicts } from '../requests/types';
import { type Candidate, candidatesFor } from './candidates';
import { type Catalog, hasBreaker } from './catalog';
import type { GenerationInput } from './types';

export interface Asked {
  readonly model: string;
  readonly input: GenerationInput;
  readonly maxCostMicros: number | null;
}

export interface AssessedTarget {
  readonly candidate: Candidate;
  /** Why it would be skipped; null when it would not. */
  readonly skipped: string | null;
}

export type Assessment =
  | {
      readonly possible: true;
      readonly targets: readonly AssessedTarget[];
      /** Of those that can serve, for the whole request. */
      readonly cheapestMicros: number;
      readonly dearestMicros: number;
    }
  | {
      readonly possible: false;
      readonly targets: readonly AssessedTarget[];
      /** Of the targets that could serve it for more; null when none can. */
      readonly cheapestMicros: number | null;
    };

export function assess(catalog: Catalog, asked: Asked, verdicts: TargetVerdicts = {}): Assessment {
  const candidates = candidatesFor(catalog, asked, verdicts);
  const targets = candidates.map((candidate) => ({
    candidate,
    skipped: candidate.passedOver ?? tooDear(candidate, asked.maxCostMicros),
  }));
  const prices = (of: readonly Candidate[]) => of.map(({ priceMicros }) => priceMicros);
  const able = targets.flatMap(({ skipped, candidate }) => (skipped === null ? [candidate] : []));
  if (able.length === 0) {
    const capable = candidates.filter(({ passedOver }) => passedOver === null);
    const cheapestMicros = capable.length === 0 ? null : Math.min(...prices(capable));
    return { possible: false, targets, cheapestMicros };
  }
  return {
    possible: true,
    targets,
    cheapestMicros: Math.min(...prices(able)),
    dearestMicros: Math.max(...prices(able)),
  };
}

/** The least that it can cost; 0 when nothing can serve it for what may be paid. */
export function floorOf(catalog: Catalog, asked: Asked): number {
  const assessment = assess(catalog, asked);
  return assessment.possible ? assessment.cheapestMicros : 0;
}

function tooDear({ priceMicros }: Candidate, maxCostMicros: number | null): string | null {
  if (maxCostMicros === null || priceMicros <= maxCostMicros) return null;
  return `costs ${priceMicros / 1e6} USD, more than max_cost_usd`;
}

/** The targets whose breakers have a say, in the order they would be tried. */
export const watchedTargets = ({ targets }: Assessment) =>
  targets
    .filter(({ skipped, candidate }) => skipped === null && hasBreaker(candidate.target))
    .map(({ candidate }) => candidate.target);
