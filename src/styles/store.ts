/** Styles in D1, which is their authority. */
import type { Style, StyleDefaults } from './types';

export interface StyleStore {
  getOne(id: string): Promise<Style | null>;
  /** In the order of their names, those that come after `after`. */
  getPage(input: { readonly limit: number; readonly after: string | null }): Promise<Style[]>;
  /** Says whether the name was free. */
  createOne(style: Style): Promise<boolean>;
  /** Null when there is none; what is stored stays as old as it was. */
  updateOne(style: Omit<Style, 'createdAt'>): Promise<Style | null>;
  /** Says whether there was one. */
  deleteOne(id: string): Promise<boolean>;
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

    async createOne(style) {
      const { meta } = await db
        .prepare(
          `INSERT INTO styles (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
        )
        .bind(style.id, ...contentOf(style), style.createdAt, style.updatedAt)
        .run();
      return meta.changes > 0;
    },

    async updateOne(style) {
      const row = await db
        .prepare(
          `UPDATE styles SET description = ?, prompt_template = ?, negative_prompt = ?,
             defaults = ?, updated_at = ?
           WHERE id = ? RETURNING ${COLUMNS}`,
        )
        .bind(...contentOf(style), style.updatedAt, style.id)
        .first<Row>();
      return row && fromRow(row);
    },

    async deleteOne(id) {
      const { meta } = await db.prepare('DELETE FROM styles WHERE id = ?').bind(id).run();
      return meta.changes > 0;
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
