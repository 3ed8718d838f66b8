/** What an agent is told of a failure: text to read, and the same with its code as data. */
import type { CallToolResult } from '@modelcontextprotocol/server';
import { AppError } from '../platform/errors';
import type { Session } from './caller';

export interface ToolFault {
  readonly code: string;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** Ours are logged here, once. */
export function toolFault(fault: unknown, { caller, deps }: Session): ToolFault {
  const { correlationId } = caller;
  deps.logFault(fault, correlationId);
  const { problem, details } = deps.problemOf(fault, correlationId);
  const { errors, retryAfterMs, extensions } = details;
  return {
    code: problem.code,
    message: problem.detail,
    details: {
      correlation_id: correlationId,
      ...(errors ? { errors } : {}),
      ...(retryAfterMs === undefined
        ? {}
        : { retry_after_seconds: Math.max(1, Math.ceil(retryAfterMs / 1000)) }),
      ...extensions,
    },
  };
}

export function faultResult(fault: unknown, session: Session): CallToolResult {
  const error = toolFault(fault, session);
  const fields = fault instanceof AppError ? (fault.details.errors ?? []) : [];
  const lines = fields.map(({ path, message }) => `- ${path || 'arguments'}: ${message}`);
  const wait = error.details.retry_after_seconds;
  const again = wait === undefined ? [] : [`Try again in ${wait} s.`];
  const text = [`${error.code}: ${error.message}`, ...lines, ...again].join('\n');
  return { isError: true, content: [{ type: 'text', text }], structuredContent: { error } };
}
