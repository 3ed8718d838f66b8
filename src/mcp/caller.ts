/** Who makes a call of `/mcp`, and what the tools may use to answer it. */
import type { McpServer } from '@modelcontextprotocol/server';
import type { Credential } from '../accounts/types';
import type { Catalog } from '../generation/catalog';
import type { GenerationService } from '../generation/service';
import type { ImageList } from '../images/listing';
import type { ImageRemoval } from '../images/removal';
import type { ImageService } from '../images/service';
import type { ImageContent } from '../images/serving';
import type { ErrorDetails } from '../platform/errors';
import type { RequestService } from '../requests/service';
import type { PresentRequest } from '../requests/view';

/** Has shown a credential that may read; what it may change, the services judge. */
export interface Caller {
  readonly credential: Credential;
  /** Its foreman's word. @throws AppError `forbidden`, `unauthorized`, `account_suspended`. */
  readonly mayWrite: () => Promise<unknown>;
  readonly origin: string;
  readonly correlationId: string;
  readonly traceparent: string | null;
}

export interface McpDeps {
  readonly generation: Pick<GenerationService, 'submit'>;
  readonly requests: Pick<RequestService, 'get' | 'wait' | 'cancel' | 'list'>;
  readonly present: PresentRequest;
  readonly catalog: Catalog;
  readonly images: Pick<ImageService, 'describe'>;
  readonly imageContent: Pick<ImageContent, 'open'>;
  readonly imageList: ImageList;
  readonly imageRemoval: ImageRemoval;
  readonly linkSecret: string;
  readonly now: () => number;
  /** The one map of codes to what callers are told; faults of ours get a constant text. */
  readonly problemOf: (
    fault: unknown,
    correlationId: string,
  ) => {
    readonly problem: { readonly code: string; readonly detail: string };
    readonly details: ErrorDetails;
  };
  /** Puts a fault of ours on record, and no other. */
  readonly logFault: (fault: unknown, correlationId: string) => void;
}

/** What the tools and resources of one HTTP request share. */
export interface Session {
  readonly caller: Caller;
  readonly deps: McpDeps;
}

/** Puts more tools or resources on a server, beside Foreman's own. */
export type Register = (server: McpServer) => void;
