/** How a provider's file declares its settings: all of them are strings of the environment. */
import { z } from 'zod';

/** An empty string is how `.dev.vars` and shells spell "not set". */
const emptyAsUnset = (value: unknown) => (value === '' ? undefined : value);
export const optional = <T extends z.ZodType>(schema: T) =>
  z.preprocess(emptyAsUnset, schema.optional());

const httpUrl = z.url({ protocol: /^https?$/, error: 'must be an http or https URL' });

/** Without slashes at the end. */
const baseUrl = () => optional(httpUrl.transform((url) => url.replace(/\/+$/, '')));

/** Settings that hold the addresses `names`; in production keys and prompts go over https only. */
export function addressed<T extends z.ZodRawShape>(names: readonly string[], shape: T) {
  const urls = Object.fromEntries(names.map((name) => [name, baseUrl()]));
  return z
    .object({ ENVIRONMENT: z.string().optional(), ...urls, ...shape })
    .transform((settings, context): ReadonlyMap<string, unknown> => {
      const values = new Map<string, unknown>(Object.entries(settings));
      if (values.get('ENVIRONMENT') !== 'production') return values;
      for (const name of names) {
        if (!String(values.get(name) ?? '').startsWith('http:')) continue;
        const message = 'must be https: keys and prompts go there';
        context.addIssue({ code: 'custom', path: [name], message });
      }
      return values;
    });
}

export const text = (values: ReadonlyMap<string, unknown>, name: string): string | null => {
  const value = values.get(name);
  return typeof value === 'string' ? value : null;
};

export interface ApiConfig {
  readonly apiKey: string;
  /** Without a slash at the end. */
  readonly baseUrl: string;
}

/** The usual pair: a key that turns the provider on, and where its API is. */
export function apiSettings(names: {
  readonly key: string;
  readonly url: string;
  readonly defaultUrl: string;
}): z.ZodType<ApiConfig | null> {
  return addressed([names.url], { [names.key]: optional(z.string()) }).transform((values) => {
    const apiKey = text(values, names.key);
    return apiKey ? { apiKey, baseUrl: text(values, names.url) ?? names.defaultUrl } : null;
  });
}

export interface ServerConfig {
  readonly baseUrl: string;
  readonly apiKey: string | null;
}

/** For a server of the operator's own: its address turns the provider on, a key is optional. */
export function serverSettings(names: {
  readonly url: string;
  readonly key: string;
}): z.ZodType<ServerConfig | null> {
  return addressed([names.url], { [names.key]: optional(z.string()) }).transform((values) => {
    const url = text(values, names.url);
    return url ? { baseUrl: url, apiKey: text(values, names.key) } : null;
  });
}
