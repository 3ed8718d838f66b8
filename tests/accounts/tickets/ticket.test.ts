import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createOpenTicket } from '../../../src/accounts/tickets/opening';
import { readTicket, signTicket, type Ticket } from '../../../src/accounts/tickets/ticket';
import { newId } from '../../../src/platform/ids';

const NOW = 1_790_000_000_000;
const secret = 'a-link-signing-secret-of-some-length';
const requestId = newId('req', NOW);
const other = newId('req', NOW);
const from = { address: null, correlationId: 'c' };

const ticketOf = (fields: Partial<Ticket> = {}): Ticket => ({
  userId: newId('usr', NOW),
  requestId,
  mintedBy: { via: 'key', keyId: newId('key', NOW) },
  expiresAt: NOW + 60_000,
  ...fields,
});

const token = {
  via: 'token',
  issuer: 'https://login.test/',
  subject: '艾'.repeat(255),
  scopes: ['requests:read'],
  expiresAt: NOW + 600_000,
} as const;

describe('a ticket', () => {
  it.each<[string, Partial<Ticket>]>([
    ['by a key, for one request', {}],
    ['for all requests', { requestId: null }],
    ['by a token with the longest subject', { mintedBy: token }],
  ])('says what was signed: %s', (_, fields) => {
    const ticket = ticketOf(fields);
    const text = signTicket(ticket, secret);
    expect(text).toMatch(/^[\w.-]+$/);
    expect(readTicket(text, { secret, now: NOW })).toEqual(ticket);
  });

  it('opens until its end and not at it', () => {
    const ticket = ticketOf();
    const text = signTicket(ticket, secret);
    expect(readTicket(text, { secret, now: ticket.expiresAt - 1 })).not.toBeNull();
    expect(readTicket(text, { secret, now: ticket.expiresAt })).toBeNull();
  });

  it('is nothing with any character changed, added or left out, or by another secret', () => {
    const text = signTicket(ticketOf(), secret);
    const any = fc.integer({ min: 0, max: text.length - 1 });
    fc.assert(
      fc.property(any, fc.constantFrom('A', 'b', '.', '_', ''), (at, letter) => {
        const spoiled = text.slice(0, at) + letter + text.slice(at + 1);
        fc.pre(spoiled !== text);
        expect(readTicket(spoiled, { secret, now: NOW })).toBeNull();
      }),
    );
    for (const spoiled of ['', '.', `${text}.`, `${text}A`, `${text}=`, 'x'.repeat(10_000)]) {
      expect(readTicket(spoiled, { secret, now: NOW })).toBeNull();
    }
    expect(readTicket(text, { secret: `${secret}.`, now: NOW })).toBeNull();
  });
});

describe('what a ticket opens', () => {
  const open = createOpenTicket({ secret, now: () => NOW });
  const opening = (held: Ticket['requestId'], asked: string | null) => () =>
    open({ text: signTicket(ticketOf({ requestId: held }), secret), requestId: asked }, from);

  it('is its request, or with one for all each of them and all together', () => {
    for (const [held, asked] of [
      [requestId, requestId],
      [null, requestId],
      [null, null],
    ] as const) {
      expect(opening(held, asked)()).toMatchObject({ via: 'ticket', mintedBy: { via: 'key' } });
    }
  });

  it('is no other request, of which it says what is said of one that is not there', () => {
    expect(opening(requestId, other)).toThrow(
      expect.objectContaining({ code: 'not_found', message: `There is no request ${other}.` }),
    );
    expect(opening(requestId, null)).toThrow(expect.objectContaining({ code: 'forbidden' }));
  });
});
