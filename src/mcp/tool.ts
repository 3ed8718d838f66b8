/**
 * A tool as the table of tools has it: what agents read of it, what it takes and gives, and what it
 * does. Putting one on a server is the same for all: arguments are checked, faults become results.
 */
import type {
  CallToolResult,
  McpServer,
  ServerContext,
  StandardSchemaWithJSON,
  ToolAnnotations,
} from '@modelcontextprotocol/server';
import { z } from 'zod';
import { invalidFields } from '../platform/http';
import type { Session } from './caller';
import { faultResult } from './faults';
import { type Tell, tellerFor } from './progress';

export interface ToolCall extends Session {
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** Null when the client has not asked to be told. */
  readonly tell: Tell | null;
}

export interface ToolSpec<Input extends z.ZodObject, Output extends z.ZodObject> {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly annotations: Required<Omit<ToolAnnotations, 'title'>>;
  readonly input: Input;
  readonly output: Output;
  readonly run: (args: z.output<Input>, call: ToolCall) => Promise<CallToolResult>;
}

export interface Tool {
  readonly name: string;
  put(server: McpServer, session: Session): void;
}

export function tool<Input extends z.ZodObject, Output extends z.ZodObject>(
  spec: ToolSpec<Input, Output>,
): Tool {
  const { name, title, description, annotations } = spec;
  const inputSchema = takingAnything(spec.input);
  const outputSchema = shown(spec.output, (value) => spec.output['~standard'].validate(value));
  return {
    name,
    put(server, session) {
      const config = { title, description, annotations, inputSchema, outputSchema };
      server.registerTool(name, config, async (args, context: ServerContext) => {
        try {
          const { signal } = context.mcpReq;
          const call = { ...session, signal, tell: tellerFor(context) };
          return await spec.run(argumentsOf(spec.input, args), call);
        } catch (fault) {
          return faultResult(fault, session);
        }
      });
    },
  };
}

/** @throws AppError `invalid_request` that names every faulty argument, and every unknown one. */
function argumentsOf<Input extends z.ZodObject>(input: Input, args: unknown): z.output<Input> {
  const parsed = input.safeParse(args);
  if (!parsed.success) throw invalidFields(parsed.error.issues);
  return parsed.data;
}

/** Arguments are judged by `argumentsOf`: the SDK would tell of a fault without a code. */
const takingAnything = (schema: z.ZodType) => shown(schema, (value) => ({ value }));

/** JSON Schema is made once and not per request: it takes longer than most calls. */
function shown(
  schema: z.ZodType,
  validate: StandardSchemaWithJSON['~standard']['validate'],
): StandardSchemaWithJSON {
  const made = new Map<'input' | 'output', Record<string, unknown>>();
  const json = (io: 'input' | 'output') => () => {
    const known = made.get(io) ?? z.toJSONSchema(schema, { target: 'draft-2020-12', io });
    made.set(io, known);
    return { ...known };
  };
  const jsonSchema = { input: json('input'), output: json('output') };
  return { '~standard': { version: 1, vendor: 'foreman', validate, jsonSchema } };
}
