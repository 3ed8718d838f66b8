/** The conditions of a list's query: what a caller leaves open sets none. Pure. */
export type SqlValue = string | number;

/** In SQL, with a `?` for each value; with null for a value it is left out. */
export type Condition = readonly [sql: string, ...values: (SqlValue | null)[]];

/** @returns all that are left, joined, and their values in order. */
export function allOf(conditions: readonly Condition[]): {
  readonly where: string;
  readonly values: readonly SqlValue[];
} {
  const kept = conditions.filter(([, ...values]) => !values.includes(null));
  return {
    where: kept.map(([sql]) => sql).join(' AND '),
    values: kept.flatMap(([, ...values]) => values.filter((value) => value !== null)),
  };
}
