/**
 * The foreman: one Durable Object per user, the authority on the user's requests, keys and limits.
 * Each method is one transaction over plain data; the rules and the rows live in the files it calls.
 * Messages leave after the commit and are sent again until their receiver confirms them.
 */
import { DurableObject } from 'cloudflare:workers';
import * as keyRing from '../accounts/key-ring';
import * as accounts from '../accounts/limits';
import { describe, type Me, rateLimitOf } from '../accounts/me';
import * as tenancy from '../accounts/tenancy';
import type { Account, Authorization, By, Credential, KeyRecord, Scope } from '../accounts/types';
import type { DeliveryId, KeyId, RequestId } from '../platform/ids';
import { consoleLogger } from '../platform/log';
import * as ledger from '../requests/ledger';
import type { RunMessage } from '../requests/types';
import { readSettings } from '../settings';
import * as deliveries from '../webhooks/deliveries';
import type { Delivery, DeliveryClaim, DeliveryResult } from '../webhooks/types';
import * as abandoning from './abandoning';
import * as alarms from './alarm';
import { type Desk, type Effect, fillSlots, wakeProjector } from './desk';
import * as intake from './intake';
import * as jobs from './jobs';
import { createKinds, createPresenter } from './kinds';
import { type Memory, nextDueAt, recall, snapshot } from './memory';
import * as news from './news';
import { createOutbox, type Outbox } from './outbox';
import * as posting from './posting';
import { type Revival, type ReviveAnswer, revive } from './reviving';
import { migrate } from './schema';
import { answerWatch, dismissWatchers, tellWatchers } from './watch';
import * as work from './work';

/** What a client's call is answered with. */
export interface Heard<T> {
  readonly answer: T;
  /** How the user's rate limit stands, as headers; null for one who has no business here. */
  readonly rateLimit: Readonly<Record<string, string>> | null;
}

type Named = { readonly credential: Credential; readonly id: RequestId };

export class Foreman extends DurableObject<Env> {
  readonly #memory: Memory;
  readonly #fixed: Pick<Desk, 'sql' | 'settings' | 'kinds' | 'present'>;
  readonly #outbox: Outbox;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const { settings, generation } = readSettings(env);
    const { sql } = ctx.storage;
    migrate(ctx.storage);
    this.#fixed = {
      sql,
      settings,
      kinds: createKinds(generation),
      present: createPresenter(settings),
    };
    this.#outbox = createOutbox(env, consoleLogger);
    this.#memory = ctx.storage.transactionSync(() => recall(sql, Date.now()));
    // News from before the restart may have lost its wake-up with the queue.
    if (news.hasNews(sql)) this.#memory.wake = news.recallWake(sql);
    ctx.blockConcurrencyWhile(async () => {
      this.#memory.alarmAt = await ctx.storage.getAlarm();
      this.#arm();
    });
  }

  // --- Clients -------------------------------------------------------------------------------------

  submit(submission: intake.Submission): Heard<intake.SubmitAnswer> {
    return this.#asked(submission.credential, 'requests:write', () =>
      this.#change((desk) => intake.submit(desk, submission)),
    );
  }

  /** All of one user, and by one credential. */
  submitAll(submissions: readonly intake.Submission[]): Heard<intake.SubmitAnswer[]> {
    const [first] = submissions;
    if (!first) return { answer: [], rateLimit: null };
    const { answer, rateLimit } = this.#asked(first.credential, 'requests:write', () =>
      this.#change((desk) => intake.submitAll(desk, submissions)),
    );
    return { answer: Array.isArray(answer) ? answer : submissions.map(() => answer), rateLimit };
  }

  replayOf(
    input: Parameters<typeof intake.replayOf>[1] & { credential: Credential },
  ): Heard<intake.SubmitAnswer | null> {
    return this.#asked(input.credential, 'requests:write', () =>
      intake.replayOf(this.#view(), input),
    );
  }

  read({ credential, id }: Named): Heard<intake.ReadAnswer> {
    return this.#asked(credential, 'requests:read', () => intake.read(this.#view(), id));
  }

  cancel({ credential, id }: Named): Heard<intake.ReadAnswer> {
    return this.#asked(credential, 'requests:write', () =>
      this.#change((desk) => intake.cancel(desk, id)),
    );
  }

  /** Resolves when the stored objects are gone or, should R2 fail, are due to be tried again. */
  async remove(
    input: Parameters<typeof intake.remove>[1],
  ): Promise<Heard<ReturnType<typeof intake.remove> | intake.Denied>> {
    const heard = this.#asked(input.credential, 'requests:write', () =>
      this.#change((desk) => intake.remove(desk, input)),
    );
    if (heard.answer.outcome === 'deleted') await this.#purge(input.id);
    return heard;
  }

  deliveriesOf({ credential, id }: Named): Heard<Delivery[] | intake.Denied> {
    return this.#asked(credential, 'requests:read', () =>
      deliveries.getOfRequest(this.#fixed.sql, id),
    );
  }

  /** The only HTTP that reaches the object: a WebSocket that watches one request. */
  override async fetch(request: Request): Promise<Response> {
    return answerWatch(this.ctx, request, (input) => this.read(input));
  }

  override webSocketMessage(): void {}

  override webSocketClose(socket: WebSocket, code: number): void {
    socket.close(code === 1005 || code === 1006 ? 1000 : code);
  }

  // --- Consumers -----------------------------------------------------------------------------------

  claim(message: Parameters<typeof work.claim>[1]): work.ClaimAnswer {
    return this.#change((desk) => work.claim(desk, message));
  }

  renew(claims: { request: RequestId; token: string }[]): { stale: string[] } {
    return work.renew({ ...this.#fixed, memory: this.#memory, now: Date.now() }, claims);
  }

  settle(input: Parameters<typeof work.settle>[1]): work.SettleAnswer {
    return this.#change((desk) => work.settle(desk, input));
  }

  keepJob(input: jobs.KeepJob): ReturnType<typeof jobs.keepJob> {
    return this.#change((desk) => jobs.keepJob(desk, input));
  }

  nudge(input: { request: RequestId; attempt: number }): void {
    this.#change((desk) => jobs.nudge(desk, input));
  }

  claimAbandoned(token: string): ReturnType<typeof abandoning.claimAbandoned> {
    return abandoning.claimAbandoned(this.#fixed, token);
  }

  forgetAbandoned(token: string): void {
    this.#change((desk) => abandoning.forgetAbandoned(desk, token));
  }

  deadLetter(message: Pick<RunMessage, 'request' | 'release'>): { settled: boolean } {
    return this.#change((desk) => work.deadLetter(desk, message));
  }

  revive(revival: Revival): ReviveAnswer {
    return this.#change((desk) => revive(desk, revival));
  }

  claimDelivery(input: { delivery: DeliveryId; token: string }): DeliveryClaim {
    return this.#change((desk) => posting.claim(desk, input));
  }

  settleDelivery(input: { delivery: DeliveryId; token: string; result: DeliveryResult }): {
    verdict: 'settled' | 'stale';
  } {
    return this.#change((desk) => posting.settle(desk, input));
  }

  pullNews(): news.News {
    return news.pullNews(this.#fixed);
  }

  confirmNews(confirmation: news.Confirmation): { more: boolean } {
    const account = accounts.loadAccount(this.#fixed.sql);
    if (!account) return { more: false };
    return this.#change((desk) => news.confirmNews(desk, confirmation, account.userId));
  }

  // --- Accounts ------------------------------------------------------------------------------------

  createAccount({ account, by }: { account: tenancy.NewAccount; by: By }): Account {
    return this.#change((desk) => {
      wakeProjector(desk, account.userId);
      return tenancy.createAccount(desk, account, by);
    });
  }

  getAccount(): Account | null {
    return tenancy.getAccount(this.#fixed);
  }

  changeAccount(input: { changes: tenancy.AccountChanges; by: By }): Account | null {
    return this.#changeAccount((desk) => tenancy.changeAccount(desk, input.changes, input.by));
  }

  addKey({ key, by }: { key: KeyRecord; by: By }): KeyRecord | null {
    return this.#changeAccount((desk) => keyRing.addKey(desk, key, by));
  }

  revokeKey({ id, by }: { id: KeyId; by: By }): KeyRecord | null {
    const revoked = this.#changeAccount((desk) => keyRing.revokeKey(desk, id, by));
    dismissWatchers(this.ctx, id);
    return revoked;
  }

  listKeys(): KeyRecord[] | null {
    return keyRing.listKeys(this.#fixed);
  }

  authorize(credential: Credential): Heard<Authorization> {
    const now = Date.now();
    const answer = keyRing.checkCredential({ ...this.#fixed, now }, credential, null);
    return { answer, rateLimit: answer.ok ? this.#rateLimit() : null };
  }

  me(credential: Credential): Heard<Me | null | intake.Denied> {
    return this.#asked(credential, 'requests:read', () => {
      const { active: running, waiting } = this.#memory;
      return describe({ ...this.#fixed, now: Date.now() }, { credential, running, waiting });
    });
  }

  defaultWebhookSecret(credential: Credential): Heard<{ secret: string } | null | intake.Denied> {
    return this.#asked(credential, 'requests:write', () => {
      const account = accounts.loadAccount(this.#fixed.sql);
      return account && { secret: account.webhookSecret };
    });
  }

  // --- Time ----------------------------------------------------------------------------------------

  /** Never throws: after six failures the platform would drop the alarm. */
  override async alarm(): Promise<void> {
    this.#memory.alarmAt = null;
    try {
      const account = accounts.loadAccount(this.#fixed.sql);
      if (account) {
        this.#change((desk) =>
          alarms.runAlarm(desk, account.userId, this.#isolating(desk.effects)),
        );
      }
    } catch (error) {
      consoleLogger.error('foreman.alarm_failed', { error });
      await this.ctx.storage.setAlarm(Date.now() + 10_000);
    }
  }

  /**
   * D1 shows these as live long after their deadline. Constructing the object has armed its alarm;
   * what it still holds is told to D1 once more.
   */
  recheck(ids: RequestId[]): void {
    const account = accounts.loadAccount(this.#fixed.sql);
    if (!account) return;
    this.#change((desk) => {
      for (const id of ids) ledger.markNews(desk.sql, id);
      wakeProjector(desk, account.userId);
    });
  }

  /** The credential first, then the work; nothing comes in between. */
  #asked<T>(credential: Credential, scope: Scope, work: () => T): Heard<T | intake.Denied> {
    const now = Date.now();
    const allowed = keyRing.checkCredential({ ...this.#fixed, now }, credential, scope);
    if (!allowed.ok) return { answer: { outcome: allowed.code }, rateLimit: null };
    return { answer: work(), rateLimit: this.#rateLimit() };
  }

  #rateLimit(): Record<string, string> | null {
    return rateLimitOf({ ...this.#fixed, now: Date.now() });
  }

  #view(): intake.Viewing {
    return { ...this.#fixed, memory: this.#memory, now: Date.now() };
  }

  #changeAccount<T>(change: (desk: Desk) => T | null): T | null {
    return this.#change((desk) => {
      const changed = change(desk);
      const account = accounts.loadAccount(desk.sql);
      if (changed !== null && account) {
        wakeProjector(desk, account.userId);
        fillSlots(desk);
      }
      return changed;
    });
  }

  /** No `await` between the first read and the last write: an exception rolls all of it back. */
  #change<T>(change: (desk: Desk) => T): T {
    const undo = snapshot(this.#memory);
    const effects: Effect[] = [];
    const desk: Desk = {
      ...this.#fixed,
      memory: this.#memory,
      effects,
      now: Date.now(),
      random: Math.random,
    };
    let result: T;
    try {
      result = this.ctx.storage.transactionSync(() => change(desk));
    } catch (error) {
      undo();
      throw error;
    }
    this.#arm();
    this.#follow(effects);
    return result;
  }

  /** A transaction within the alarm's: what fails in it is undone alone. */
  #isolating(effects: Effect[]): alarms.Isolate {
    return (work) => {
      const undo = snapshot(this.#memory);
      const sent = effects.length;
      try {
        this.ctx.storage.transactionSync(work);
        return true;
      } catch (error) {
        undo();
        effects.length = sent;
        consoleLogger.error('foreman.row_failed', { error });
        return false;
      }
    };
  }

  /** One alarm at the earliest due time. It is never moved later: firing early is harmless. */
  #arm(): void {
    const due = nextDueAt(this.#fixed.sql, this.#memory);
    if (due === null) return;
    const { alarmAt } = this.#memory;
    if (alarmAt !== null && alarmAt <= due) return;
    this.#memory.alarmAt = due;
    this.ctx.storage.setAlarm(due).catch((error: unknown) => {
      this.#memory.alarmAt = null;
      consoleLogger.error('foreman.alarm_not_set', { error });
    });
  }

  #follow(effects: readonly Effect[]): void {
    tellWatchers(this.ctx, this.#view(), effects, () => this.#rateLimit());
    const sends = this.#outbox.send(effects);
    if (sends) this.ctx.waitUntil(sends);
    for (const effect of effects) {
      if ('purge' in effect) this.ctx.waitUntil(this.#purge(effect.purge));
    }
  }

  async #purge(id: RequestId): Promise<void> {
    if (!(await this.#outbox.purge(id))) return;
    this.#change((desk) => {
      const row = ledger.getOne(desk.sql, id);
      if (row) alarms.confirmPurge(desk, row);
    });
  }
}
