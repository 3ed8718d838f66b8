// The yardstick of overhead.ts: a Worker that makes each kind of binding call that Foreman makes on
// the way of a request, once, and keeps no books: no keys, limits, leases, retries or signatures.

import { DurableObject } from 'cloudflare:workers';
import type {
  D1Database,
  DurableObjectNamespace,
  DurableObjectState,
  ExecutionContext,
  MessageBatch,
  Queue,
  R2Bucket,
} from '@cloudflare/workers-types';

interface Env {
  ROWS: DurableObjectNamespace<Rows>;
  DB: D1Database;
  IMAGES: R2Bucket;
  GENERATION_QUEUE: Queue<Wake>;
  WEBHOOKS_QUEUE: Queue<Wake>;
  EVENTS_QUEUE: Queue<Wake>;
  UPSTREAM: string;
}

interface Wake {
  type: 'generate' | 'deliver' | 'project';
  id: string;
}

interface Row {
  id: string;
  prompt: string;
  webhook_url: string;
  status: string;
}

/** Sends after each write without waiting, as Foreman does. */
export class Rows extends DurableObject<Env> {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    ctx.storage.sql.exec('CREATE TABLE IF NOT EXISTS rows (id TEXT PRIMARY KEY, state TEXT)');
  }

  accept(row: Row): void {
    this.#write(row);
    this.ctx.waitUntil(this.env.GENERATION_QUEUE.send({ type: 'generate', id: row.id }));
  }

  start(id: string): Row {
    return this.#move(id, 'running');
  }

  finish(id: string): void {
    this.#move(id, 'succeeded');
    this.ctx.waitUntil(this.env.WEBHOOKS_QUEUE.send({ type: 'deliver', id }));
    this.ctx.waitUntil(this.env.EVENTS_QUEUE.send({ type: 'project', id }));
  }

  startDelivery(id: string): Row {
    return this.#move(id, 'delivering');
  }

  finishDelivery(id: string): void {
    this.#move(id, 'delivered');
  }

  #move(id: string, status: string): Row {
    const { sql } = this.ctx.storage;
    const { state } = sql.exec<{ state: string }>('SELECT state FROM rows WHERE id = ?', id).one();
    const row: Row = { ...JSON.parse(state), status };
    this.#write(row);
    return row;
  }

  #write(row: Row): void {
    const { sql } = this.ctx.storage;
    sql.exec('INSERT OR REPLACE INTO rows (id, state) VALUES (?, ?)', row.id, JSON.stringify(row));
  }
}

const rowsOf = (env: Env) => env.ROWS.getByName('one');

async function generate(id: string, env: Env): Promise<void> {
  const row = await rowsOf(env).start(id);
  const response = await fetch(`${env.UPSTREAM}/images/generations`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer bench' },
    body: JSON.stringify({ model: 'gpt-image-1', prompt: row.prompt, n: 1 }),
  });
  const answer = (await response.json()) as { data: [{ b64_json: string }] };
  await env.IMAGES.put(`images/${id}`, Buffer.from(answer.data[0].b64_json, 'base64'));
  await rowsOf(env).finish(id);
}

async function deliver(id: string, env: Env): Promise<void> {
  const row = await rowsOf(env).startDelivery(id);
  const body = JSON.stringify({ type: 'request.succeeded', data: row });
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(row.webhook_url, { method: 'POST', headers, body });
  await response.arrayBuffer();
  await rowsOf(env).finishDelivery(id);
}

async function project(id: string, env: Env): Promise<void> {
  await env.DB.prepare('INSERT INTO bare_rows (id, status) VALUES (?, ?)').bind(id, 'done').run();
}

const consumers = { generate, deliver, project };

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const body = (await request.json()) as Pick<Row, 'prompt' | 'webhook_url'>;
    const row: Row = { ...body, id: crypto.randomUUID(), status: 'queued' };
    await rowsOf(env).accept(row);
    return Response.json({ id: row.id, status: row.status }, { status: 202 });
  },

  queue(batch: MessageBatch<Wake>, env: Env, context: ExecutionContext): void {
    for (const { body } of batch.messages) {
      context.waitUntil(consumers[body.type](body.id, env));
    }
  },
};
