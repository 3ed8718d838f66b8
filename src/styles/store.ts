/** Styles in D1, which is their authority. A change and the record of it are one batch. */
import type { AuditEvent } from '../accounts/audit/event';
import { auditStatement } from '../accounts/audit/store';
import type { Style, StyleDefaults } from './types';

export interface StyleStore {
  getOne(id: string): Promise<Style | null>;
  /** In the order of their names, those that come after `after`. */
  getPage(input: { readonly limit: number; readonly after: string | null }): Promise<Style[]>;
  /** Says whether the name was free. */
  createOne(input: { readonly style: Style; readonly event: AuditEvent }): Promise<boolean>;
  /** Null when there is none; what is stored stays as old as it was. */
  updateOne(input: {
    readonly style: Omit<Style, 'createdAt'>;
    readonly event: AuditEvent;
  }): Promise<Style | null>;
  /** Says whether there was one. */
  deleteOne(input: { readonly id: string; readonly event: AuditEvent }): Promise<boolean>;
}

interface Row {
  id: string;
  description: string;
  prompt_template: string;
  negative_prompt: string | null;
  defaults: string;
  created_at: number;
  updated_at: number;
}

const COLUMNS =
  'id, description, prompt_template, negative_prompt, defaults, created_at, updated_at';

export function createStyleStore(db: D1Database): StyleStore {
  /** The record comes first, as what it tells of can be seen only before it is done. */
  const onRecord = async (
    { id, event, unless }: { id: string; event: AuditEvent; unless: 'absent' | 'present' },
    change: D1PreparedStatement,
  ): Promise<D1Result<Row> | undefined> => {
    const not = unless === 'present' ? 'NOT ' : '';
    const onlyIf = { sql: `${not}EXISTS (SELECT 1 FROM styles WHERE id = ?)`, values: [id] };
    const [, changed] = await db.batch<Row>([auditStatement(db, [event], onlyIf), change]);
    return changed;
  };

  return {
    async getOne(id) {
      const row = await db
        .prepare(`SELECT ${COLUMNS} FROM styles WHERE id = ?`)
        .bind(id)
        .first<Row>();
      return row && fromRow(row);
    },

    async getPage({ limit, after }) {
      const { results } = await db
        .prepare(`SELECT ${COLUMNS} FROM styles WHERE id > ? ORDER BY id LIMIT ?`)
        .bind(after ?? '', limit)
        .all<Row>();
      return results.map(fromRow);
    },

    async createOne({ style, event }) {
      const insert = db
        .prepare(
          `INSERT INTO styles (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (id) DO NOTHING RETURNING ${COLUMNS}`,
        )
        .bind(style.id, ...contentOf(style), style.createdAt, style.updatedAt);
      const made = await onRecord({ id: style.id, event, unless: 'present' }, insert);
      return (made?.results.length ?? 0) > 0;
    },

    async updateOne({ style, event }) {
      const update = db
        .prepare(
          `UPDATE styles SET description = ?, prompt_template = ?, negative_prompt = ?,
             defaults = ?, updated_at = ?
           WHERE id = ? RETURNING ${COLUMNS}`,
        )
        .bind(...contentOf(style), style.updatedAt, style.id);
      const changed = await onRecord({ id: style.id, event, unless: 'absent' }, update);
      const [row] = changed?.results ?? [];
      return row ? fromRow(row) : null;
    },

    async deleteOne({ id, event }) {
      const remove = db.prepare(`DELETE FROM styles WHERE id = ? RETURNING ${COLUMNS}`).bind(id);
      const gone = await onRecord({ id, event, unless: 'absent' }, remove);
      return (gone?.results.length ?? 0) > 0;
    },
  };
}

const contentOf = (style: Omit<Style, 'createdAt'>) => [
  style.description,
  style.promptTemplate,
  style.negativePrompt,
  JSON.stringify(style.defaults),
];

/** Rows are written by this store only. */
function fromRow(row: Row): Style {
  return {
    id: row.id,
    description: row.description,
    promptTemplate: row.prompt_template,
    negativePrompt: row.negative_prompt,
    defaults: JSON.parse(row.defaults) as StyleDefaults,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
