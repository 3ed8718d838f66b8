/**
 * One JSON line per event. The field type has no place for prompts, bodies, headers, tokens,
 * secrets or URLs, so none of them can be logged by mistake.
 */
export type LogLevel = 'info' | 'warn' | 'error';

export interface LogFields {
  readonly correlation_id?: string;
  readonly user_id?: string;
  readonly request_id?: string;
  readonly delivery_id?: string;
  readonly endpoint_id?: string;
  readonly image_id?: string;
  readonly letter_id?: string;
  readonly style_id?: string;
  readonly attempt?: number;
  readonly provider?: string;
  readonly model?: string;
  readonly outcome?: string;
  readonly queue?: string;
  readonly reason?: string;
  readonly method?: string;
  /** The route's pattern, not the path: a path may hold a signature. */
  readonly route?: string;
  readonly status?: number;
  readonly code?: string;
  readonly action?: string;
  readonly duration_ms?: number;
  readonly count?: number;
  readonly counts?: Readonly<Record<string, number>>;
  readonly job?: string;
  readonly error?: unknown;
}

export interface Logger {
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

export function createLogger(write: (line: string, level: LogLevel) => void): Logger {
  const log =
    (level: LogLevel) =>
    (event: string, fields: LogFields = {}) => {
      const { error, ...rest } = fields;
      const fault = error === undefined ? {} : describeError(error);
      const line = { time: new Date().toISOString(), level, event, ...rest, ...fault };
      write(JSON.stringify(line), level);
    };
  return { info: log('info'), warn: log('warn'), error: log('error') };
}

export const consoleLogger = createLogger((line, level) => console[level](line));

/** Parsers quote what they could not read, which may be a prompt or a body. */
const isQuoting = (error: Error) => error instanceof SyntaxError || error.name === 'ZodError';

/** Type and message only: a stack may quote source, and a cause may quote a body. */
function describeError(error: unknown): { error_type: string; error_message: string } {
  if (!(error instanceof Error)) return { error_type: typeof error, error_message: 'not an Error' };
  const message = isQuoting(error) ? '' : error.message.slice(0, 300);
  return { error_type: error.name, error_message: message };
}
