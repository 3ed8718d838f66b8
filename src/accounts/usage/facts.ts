/**
 * What a request has used, as it is summed up: who was called, what came of it, and for how much.
 * Pure. The ledger of the request is the authority; this only groups it.
 */
import type { ProviderUse, RequestState, RequestUsage } from '../../requests/types';

/** `made`: how many units there are of the output, if the request has one. */
export function usageOf(state: RequestState, made: number): RequestUsage {
  const calls = state.attempts.map(({ provider, outcome, costMicros }) => ({
    provider,
    units: outcome === 'succeeded' ? made : 0,
    costMicros,
  }));
  if (state.status === 'running') {
    calls.push({ provider: state.current.provider, units: 0, costMicros: 0 });
  }
  const providers = new Map<string, ProviderUse>();
  for (const call of calls) {
    const known = providers.get(call.provider);
    const units = call.units + (known?.units ?? 0);
    const costMicros = call.costMicros + (known?.costMicros ?? 0);
    providers.set(call.provider, { provider: call.provider, units, costMicros });
  }
  const { model, createdAt } = state;
  return { model, createdAt, providers: [...providers.values()] };
}
