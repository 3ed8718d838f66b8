/** Where a ticket opens something, and for whom it then stands. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { MiddlewareHandler } from 'hono';
import type { HttpEnv, TicketBrought } from '../../platform/http';
import { ticketElsewhere, ticketTooNarrow } from '../errors';
import type { TicketCredential, Whence } from '../types';
import { readTicket } from './ticket';

/** Null for what is no ticket, or none any more. */
export type OpenTicket = (brought: TicketBrought, from: Whence) => TicketCredential | null;

/** On exactly these routes a ticket counts; on any other it is a field of the query like another. */
export function takeTickets(app: OpenAPIHono<HttpEnv>): void {
  const take: MiddlewareHandler<HttpEnv> = async (c, next) => {
    const text = c.req.query('ticket');
    const requestId = c.req.param('id') ?? null;
    if (text !== undefined) c.set('asking', { ...c.get('asking'), ticket: { text, requestId } });
    await next();
  };
  app.get('/v1/requests/:id', take);
  app.get('/v1/requests/:id/events', take);
  app.get('/v1/events', take);
}

/**
 * @returns a function that throws AppError `not_found` when the ticket is for another request, and
 * `forbidden` when it is for one and all are asked for.
 */
export function createOpenTicket(deps: {
  readonly secret: string;
  readonly now: () => number;
}): OpenTicket {
  return ({ text, requestId: asked }, from) => {
    const ticket = readTicket(text, { secret: deps.secret, now: deps.now() });
    if (!ticket) return null;
    const { userId, requestId, mintedBy } = ticket;
    if (requestId !== null && asked === null) throw ticketTooNarrow();
    if (requestId !== null && asked !== requestId) throw ticketElsewhere(asked ?? '');
    return { via: 'ticket', userId, from, mintedBy };
  };
}
