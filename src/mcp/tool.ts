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
  /** The names of the arguments that were written, without those that have a default. */
  readonly given: ReadonlySet<string>;
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
  const outputSchema = takingAnything(spec.output);
  return {
    name,
    put(server, session) {
      const config = { title, description, annotations, inputSchema, outputSchema };
      server.registerTool(name, config, async (args, context: ServerContext) => {
        try {
          const { signal } = context.mcpReq;
          const given = new Set(Object.keys(args ?? {}));
          const call = { ...session, given, signal, tell: tellerFor(context) };
          return checked(await spec.run(argumentsOf(spec.input, args), call), spec.output);
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

/** @throws ZodError, a fault of ours: clients refuse data that is not as its schema says. */
function checked(result: CallToolResult, output: z.ZodObject): CallToolResult {
  if (!result.isError) output.parse(result.structuredContent);
  return result;
}

type Direction = 'input' | 'output';
type JsonSchema = Record<string, unknown>;

/**
 * Arguments and answers are judged here: the SDK would tell of a fault without a code, and put none on
 * record. JSON Schema is made once and not per request: it takes longer than most calls.
 */
function takingAnything(schema: z.ZodType): StandardSchemaWithJSON {
  const made = new Map<Direction, JsonSchema>();
  const json = (io: Direction) => () => {
    const known = made.get(io) ?? jsonSchemaOf(schema, io);
    made.set(io, known);
    return { ...known };
  };
  const validate = (value: unknown) => ({ value });
  const jsonSchema = { input: json('input'), output: json('output') };
  return { '~standard': { version: 1, vendor: 'foreman', validate, jsonSchema } };
}

/**
 * Without what only makes it longer, as models read it and pay for it: the pattern of a known format,
 * and the bounds of every whole number. An answer may have more than the schema says, so that a client
 * that has kept it takes the answers of a later version.
 */
const jsonSchemaOf = (schema: z.ZodType, io: Direction): JsonSchema =>
  z.toJSONSchema(schema, {
    target: 'draft-2020-12',
    io,
    override({ jsonSchema: part }) {
      if (part.format !== undefined) delete part.pattern;
      if (part.minimum === Number.MIN_SAFE_INTEGER) delete part.minimum;
      if (part.maximum === Number.MAX_SAFE_INTEGER) delete part.maximum;
      if (io === 'output' && part.additionalProperties === false) delete part.additionalProperties;
    },
  });
