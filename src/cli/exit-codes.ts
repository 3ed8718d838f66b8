/** What a script learns from `$?`. Pure. */
export const exitCodes = {
  ok: 0,
  /** The request failed or was refused, or what it made could not be kept. */
  failed: 1,
  usage: 2,
  forbidden: 3,
  notFound: 4,
  /** The server, or the way there: the same command may do later. */
  trouble: 5,
  interrupted: 130,
} as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Refused for what is available or affordable, not for how it was asked. */
const REFUSALS: readonly string[] = ['no_target_available', 'budget_exceeded'];

export function exitCodeOfStatus(status: number, code: string): ExitCode {
  if (status === 401 || status === 403) return exitCodes.forbidden;
  if (status === 404 || status === 410) return exitCodes.notFound;
  if (status === 409 || REFUSALS.includes(code)) return exitCodes.failed;
  if (status === 429 || status >= 500) return exitCodes.trouble;
  return exitCodes.usage;
}

export const exitCodesHelp = `
Exit codes:
  0    done
  1    the request failed or was refused, or what it made could not be saved
  2    the command, an option or a field is wrong
  3    not authenticated, or not allowed
  4    not found
  5    the server or the connection failed, or a limit was hit: try again later
  130  interrupted`;
