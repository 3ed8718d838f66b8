/**
 * The foreman: one Durable Object per user, the authority on the user's requests, keys and limits.
 * Each method is one transaction over plain data; the rules and the rows live in the files it calls.
 * Messages leave after the commit and are sent again until their receiver confirms them.
 */
import { DurableObject } from 'cloudflare:workers';
import type { Deletion } from '../accounts/deletion/progress';
import * as grants from '../accounts/grants/register';
import * as keyRing from '../accounts/keys/ring';
import * as accounts from '../accounts/limits';
import { rateLimitOf } from '../accounts/me/view';
import * as tenancy from '../accounts/tenancy';
import type { Account, Authorization, By, Credential, KeyRecord, Scope } from '../accounts/types';
import type { KeyId, RequestId } from '../platform/ids';
import { consoleLogger } from '../platform/log';
import * as ledger from '../requests/ledger';
import type { RunMessage } from '../requests/types';
import { readSettings } from '../settings';
import * as abandoning from './abandoning';
import * as alarms from './alarm';
import { type CallAnswer, type CallInput, type CallName, clientCalls } from './calls';
import { arm, isolating } from './changing';
import type { ClientCall } from './client-call';
import * as deleting from './deleting';
import { type Desk, type Effect, fillSlots } from './desk';
import * as intake from './intake';
import * as jobs from './jobs';
import { keepUse } from './key-use';
import { createKinds, createPresenter } from './kinds';
import { type Memory, recall, snapshot } from './memory';
import * as news from './news';
import { createOutbox, type Outbox } from './outbox';
import * as posting from './posting';
import { type Revival, type ReviveAnswer, revive } from './reviving';
import { migrate } from './schema';
import { createStreams, type Streams } from './streams';
import { wakeProjector } from './waking';
import { dismissWatchers } from './watch';
import * as work from './work';

/** What a client's call is answered with. */
export interface Heard<T> {
  readonly answer: T;
  /** How the user's rate limit stands, as headers; null for one who has no business here. */
  readonly rateLimit: Readonly<Record<string, string>> | null;
}

type Named = { readonly credential: Credential; readonly id: RequestId };
type Granted = Extract<Authorization, { readonly ok: true }>;

export class Foreman extends DurableObject<Env> {
  readonly #memory: Memory;
  readonly #fixed: Pick<Desk, 'sql' | 'settings' | 'kinds' | 'present'>;
  readonly #outbox: Outbox;
  readonly #streams: Streams;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const { settings, generation } = readSettings(env);
    const { sql } = ctx.storage;
    migrate(ctx.storage);
    const present = createPresenter(settings);
    this.#fixed = { sql, settings, kinds: createKinds(generation), present };
    this.#outbox = createOutbox(env, consoleLogger);
    this.#streams = createStreams({ ctx, view: () => this.#view(), present });
    this.#memory = ctx.storage.transactionSync(() => recall(sql, Date.now()));
    // News from before the restart may have lost its wake-up with the queue.
    if (news.hasNews(this.#view())) this.#memory.wake = news.recallWake(sql);
    ctx.blockConcurrencyWhile(async () => {
      this.#memory.alarmAt = await ctx.storage.getAlarm();
      arm(this.ctx.storage, this.#memory);
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

  /** For whom a signed link to what the request made has let in. */
  recordOf(id: RequestId): intake.ReadAnswer {
    return intake.read(this.#view(), id);
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

  /** One of `clientCalls`, by its name. */
  ask<N extends CallName>(name: N, input: CallInput<N>): Heard<CallAnswer<N> | intake.Denied> {
    // The entry of a name takes that name's input, which an index by a type variable forgets.
    const { scope, run } = clientCalls[name] as ClientCall<CallInput<N>, CallAnswer<N>>;
    return this.#asked(input.credential, scope, (grant) =>
      this.#change((desk) => run(desk, input, grant)),
    );
  }

  /** The only HTTP that reaches the object: a WebSocket that watches one request, or hears of all. */
  override async fetch(request: Request): Promise<Response> {
    return this.#streams.answer(request);
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): void {
    this.#streams.hear(socket, message);
  }

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

  preview(input: Parameters<Streams['show']>[0]): void {
    this.#streams.show(input);
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
    this.#change((desk) => {
      abandoning.forgetAbandoned(desk, token);
      deleting.resume(desk);
    });
  }

  deadLetter(message: Pick<RunMessage, 'request' | 'release'>): { settled: boolean } {
    return this.#change((desk) => work.deadLetter(desk, message));
  }

  revive(revival: Revival): ReviveAnswer {
    return this.#change((desk) => revive(desk, revival));
  }

  claimDelivery(input: Parameters<typeof posting.claim>[1]): ReturnType<typeof posting.claim> {
    return this.#change((desk) => posting.claim(desk, input));
  }

  settleDelivery(input: Parameters<typeof posting.settle>[1]): { verdict: 'settled' | 'stale' } {
    return this.#change((desk) => posting.settle(desk, input));
  }

  pullNews(): news.News {
    return news.pullNews(this.#view());
  }

  confirmNews(confirmation: news.Confirmation): { more: boolean } {
    const user = this.#memory.deletion ?? accounts.loadAccount(this.#fixed.sql);
    if (!user) return { more: false };
    return this.#change((desk) => {
      const answer = news.confirmNews(desk, confirmation, user.userId);
      deleting.resume(desk);
      return answer;
    });
  }

  // --- Accounts ------------------------------------------------------------------------------------

  createAccount({ account, by }: { account: tenancy.NewAccount; by: By }): tenancy.Creation {
    if (this.#memory.deletion?.completedAt) return deleting.notAgain(account);
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

  changeStatus(input: { status: tenancy.StatusChange; by: By }): Account | null {
    const account = this.#changeAccount((desk) =>
      tenancy.changeStatus(desk, input.status, input.by),
    );
    if (account?.status === 'suspended') dismissWatchers(this.ctx, 'all');
    return account;
  }

  /** Null without an account. */
  beginDeletion(by: By): Deletion | null {
    const deletion = this.#change((desk) =>
      deleting.begin(desk, by, isolating(this.ctx.storage, desk.memory, desk.effects)),
    );
    if (deletion) dismissWatchers(this.ctx, 'all');
    return deletion;
  }

  getDeletion(): Deletion | null {
    return this.#memory.deletion;
  }

  claimDeletion(token: string): deleting.DeletionWork | null {
    return this.#change((desk) => deleting.claim(desk, token));
  }

  reportDeletion(report: deleting.DeletionReport): deleting.DeletionWork | null {
    return this.#change((desk) => deleting.report(desk, report));
  }

  addKey({ key, by }: { key: KeyRecord; by: By }): KeyRecord | keyRing.Going | null {
    return this.#changeAccount((desk) => keyRing.addKey(desk, key, by));
  }

  rotateKey(input: { rotation: keyRing.Rotation; by: By }): keyRing.RotateAnswer | null {
    return this.#changeAccount((desk) => keyRing.rotateKey(desk, input.rotation, input.by));
  }

  revokeKey({ id, by }: { id: KeyId; by: By }): KeyRecord | null {
    const revoked = this.#changeAccount((desk) => keyRing.revokeKey(desk, id, by));
    dismissWatchers(this.ctx, id);
    return revoked;
  }

  listKeys(): KeyRecord[] | null {
    return keyRing.listKeys(this.#fixed);
  }

  forgetGrant(forgotten: grants.Forgotten): object | null {
    return this.#changeAccount((desk) => grants.forgetGrant(desk, forgotten));
  }

  authorize(credential: Credential): Heard<Authorization> {
    const answer = this.#check(credential, null);
    return { answer, rateLimit: answer.ok ? this.#rateLimit() : null };
  }

  // --- Time ----------------------------------------------------------------------------------------

  /** Never throws: after six failures the platform would drop the alarm. */
  override async alarm(): Promise<void> {
    this.#memory.alarmAt = null;
    try {
      const { deletion } = this.#memory;
      const user = deletion ?? accounts.loadAccount(this.#fixed.sql);
      if (!user) return;
      this.#change((desk) => {
        const isolate = isolating(this.ctx.storage, desk.memory, desk.effects);
        if (deletion) deleting.runAlarm(desk, deletion, isolate);
        else alarms.runAlarm(desk, user.userId, isolate);
      });
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
    if (!this.#memory.deletion) this.#change((desk) => news.tellAgain(desk, ids));
  }

  /** The credential first, then the work; nothing comes in between. */
  #asked<T>(
    credential: Credential,
    scope: Scope,
    work: (grant: Granted) => T,
  ): Heard<T | intake.Denied> {
    const allowed = this.#check(credential, scope);
    if (!allowed.ok) return { answer: { outcome: allowed.code }, rateLimit: null };
    return { answer: work(allowed), rateLimit: this.#rateLimit() };
  }

  #check(credential: Credential, scope: Scope | null): Authorization {
    const rows = { ...this.#fixed, now: Date.now() };
    const answer = keyRing.checkCredential(rows, credential, scope);
    if (answer.ok) keepUse(rows, credential, (work) => this.#change(work));
    return answer;
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
      if (changed !== null && account && account.status !== 'deleting') {
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
      result = this.ctx.storage.transactionSync(() => {
        const answer = change(desk);
        news.tellOfRecords(desk);
        return answer;
      });
    } catch (error) {
      undo();
      throw error;
    }
    arm(this.ctx.storage, this.#memory);
    this.#follow(effects);
    return result;
  }

  #follow(effects: readonly Effect[]): void {
    this.#streams.tell(effects);
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
