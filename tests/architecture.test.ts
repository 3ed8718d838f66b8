// What may know what. The rules are those of CONTRIBUTING; every exception is
// listed with its reason, and one that nothing uses any more fails too.
import { describe, expect, it } from 'vitest';

const everything = Object.entries<string>(
  import.meta.glob('../src/**/*.ts', { query: '?raw', import: 'default', eager: true }),
).map(([path, text]) => ({ path: path.replace('../src/', ''), text, code: codeOf(text) }));

/** What of src is published to run elsewhere. It is no part of the Worker, and outside its layers. */
const PUBLISHED = /^(client|cli)\//;
const sources = everything.filter(({ path }) => !PUBLISHED.test(path));
const published = everything.filter(({ path }) => PUBLISHED.test(path));

const levels: Readonly<Record<string, number>> = {
  platform: 0,
  requests: 1,
  images: 1,
  accounts: 1,
  styles: 1,
  generation: 2,
  webhooks: 2,
  oauth: 2,
  streams: 2,
  openai: 3,
  mcp: 3,
  foreman: 4,
  composition: 4,
};
const FACES = ['service', 'types', 'errors'];

/** Modules that other features may import although they are none of the three faces. */
const otherFaces: Readonly<Record<string, string>> = {
  'accounts/admin-only': 'stands before every route of the operator’s',
  'accounts/audit/event': 'whoever changes something puts it on record in the same words',
  'accounts/audit/store': 'a store puts what it changes on record in the same batch',
  'accounts/grants/types': 'what apps may be let in for, in records, tokens and pages',
  'accounts/grants/service': 'what the authorization server does for it',
  'accounts/grants/opening': 'what the authorization server does for it',
  'accounts/authenticate': 'every route asks it who is calling',
  'requests/view': 'the request as clients see it, also in webhooks and in other answers',
  'requests/answers': 'a submission of any kind is answered the same way',
  'requests/idempotency': 'whatever submits reads the same header and hashes its body the same way',
  'requests/event-stream': 'streams of every surface are sent with the same headers',
  'requests/retention': 'how long what comes out is kept, in limits as in requests; pure',
  'requests/options': 'what every kind of submission may ask of the request itself',
  'generation/catalog': 'the models, for every surface that lists them',
  'generation/submission': 'what a call of every surface is made into',
  'generation/models-view': 'a model looks the same wherever one is listed',
  'requests/listing': 'lists of every surface take the same filters and cursors',
  'images/listing': 'lists of every surface take the same filters and cursors',
  'images/removal': 'deletes an image, whoever asks',
  'images/serving': 'opens an image, whoever asks',
  'images/variants/plan': 'which copies of an image there may be; pure',
  'generation/submitting': 'whoever submits reads the same of a call',
  'webhooks/endpoints/types': 'the names of events, for whoever chooses among them',
  'images/links': 'the addresses of an image, wherever one is shown',
  'images/view': 'an image looks the same wherever one is shown',
  'images/inspect': 'the one judgement on bytes, for inputs as for outputs; pure',
};

/** A table, which grows by the model. */
const TABLE = 'generation/models.ts';

interface Import {
  readonly from: string;
  readonly to: string;
  readonly isType: boolean;
}

const imports = sources.flatMap(({ path, text }) => importsOf(path, text));
const featureOf = (path: string) =>
  path.includes('/') ? (path.split('/')[0] ?? '') : 'composition';
const fileOf = (path: string) => path.split('/').slice(1).join('/');
const show = ({ from, to, isType }: Import) => `${from} → ${to}${isType ? ' (types)' : ''}`;
const isComposition = (path: string) => levels[featureOf(path)] === 4;

describe('imports', () => {
  it('name files that exist, in features that are known', () => {
    const known = new Set(sources.map(({ path }) => path.replace(/\.ts$/, '')));
    expect(imports.filter(({ to }) => !known.has(to)).map(show)).toEqual([]);
    expect(sources.map(({ path }) => featureOf(path)).filter((name) => !(name in levels))).toEqual(
      [],
    );
    expect(imports.length).toBeGreaterThan(100);
  });

  it('go down only: composition, adapters, jobs, core, platform; the object’s types may be named anywhere', () => {
    const upward = imports.filter(
      ({ from, to, isType }) =>
        (levels[featureOf(from)] ?? 0) < (levels[featureOf(to)] ?? 0) &&
        !(featureOf(to) === 'foreman' && isType),
    );
    expect(upward.map(show)).toEqual([]);
  });

  it('cross from one feature to another at its faces only', () => {
    const hidden = imports.filter(
      ({ from, to }) =>
        !isComposition(from) &&
        featureOf(from) !== featureOf(to) &&
        !['platform', 'foreman'].includes(featureOf(to)) &&
        !FACES.includes(fileOf(to)) &&
        !(to in otherFaces),
    );
    expect(hidden.map(show)).toEqual([]);
  });

  it('need every face that is listed', () => {
    const used = new Set(
      imports.filter(({ from, to }) => featureOf(from) !== featureOf(to)).map(({ to }) => to),
    );
    expect(Object.keys(otherFaces).filter((face) => !used.has(face))).toEqual([]);
  });

  it('do not go round in circles, types aside', () => {
    const next = Map.groupBy(
      imports.filter(({ isType }) => !isType),
      ({ from }) => from.replace(/\.ts$/, ''),
    );
    const done = new Set<string>();
    const circles: string[] = [];
    const visit = (module: string, trail: readonly string[]): void => {
      if (trail.includes(module)) circles.push([...trail, module].join(' → '));
      if (done.has(module) || trail.includes(module)) return;
      for (const { to } of next.get(module) ?? []) visit(to, [...trail, module]);
      done.add(module);
    };
    for (const module of next.keys()) visit(module, []);
    expect(circles).toEqual([]);
  });
});

interface Rule {
  readonly rule: string;
  readonly pattern: RegExp;
  /** Where it may stand, each with its reason. */
  readonly except: Readonly<Record<string, string>>;
}

const rules: readonly Rule[] = [
  {
    rule: 'only the logger writes to the console',
    pattern: /\bconsole\b/,
    except: { 'platform/log.ts': 'it is the logger' },
  },
  {
    rule: 'the global fetch is handed out in two places, and called in none',
    pattern: /(?<![.\w])fetch\(|globalThis\.fetch/,
    except: {
      'generation/providers/registry.ts': 'hands the global to the providers',
      'services.ts': 'hands the global to fetch-untrusted',
      'index.ts': 'its handler has this name',
      'foreman/object.ts': 'its handler has this name',
    },
  },
  { rule: 'nothing is of the type any', pattern: /(?<!\.)\bany\b/, except: {} },
  {
    rule: 'rows of the object are touched by its row files only',
    pattern: /\.exec\b[<(][^)]*(SELECT|INSERT|UPDATE|DELETE|CREATE)/,
    except: {
      'requests/idempotency-rows.ts': 'rows of idempotency keys',
      'requests/ledger.ts': 'rows of requests',
      'requests/erasing.ts': 'rows of requests, at the end of their user',
      'accounts/deletion/rows.ts': 'the row of the deletion of a user',
      'accounts/audit/rows.ts': 'rows of the audit log',
      'accounts/grants/rows.ts': 'rows of what was agreed with apps',
      'accounts/limits.ts': 'rows of the account',
      'requests/abandoned.ts': 'rows of jobs that nobody wants any more',
      'requests/reuse.ts': 'rows of what equal requests share',
      'webhooks/deliveries.ts': 'rows of deliveries',
      'webhooks/endpoints/rows.ts': 'rows of webhook endpoints',
      'foreman/schema.ts': 'makes the tables',
    },
  },
  {
    rule: 'D1 is spoken to by stores only',
    pattern: /\.prepare\(/,
    except: {
      'accounts/keys/store.ts': 'keys',
      'accounts/store.ts': 'users',
      'accounts/audit/store.ts': 'the audit trail',
      'accounts/usage/store.ts': 'what requests have used',
      'images/store.ts': 'images',
      'images/orphan-store.ts': 'images, beside their objects',
      'images/index-store.ts': 'the list of images',
      'requests/store.ts': 'requests',
      'styles/store.ts': 'styles',
      'webhooks/log/store.ts': 'the log of deliveries',
      'webhooks/store.ts': 'deliveries',
      'requests/dead-letter-store.ts': 'dead letters',
      'app.ts': 'asks whether D1 is there',
    },
  },
];

describe('what stands where', () => {
  it('is judged by code, not by comments or texts', () => {
    const code = codeOf(
      `const a: any = 'any'; // any\n/* any */ b = \`any \${c.any}\`; /any'/.test(a);`,
    );
    expect(code.match(/\bany\b/g)).toHaveLength(2);
  });

  it.each(rules)('$rule', ({ pattern, except }) => {
    const found = sources.filter(({ code, text }) =>
      pattern.test(pattern.source.includes('SELECT') ? text : code),
    );
    expect(found.map(({ path }) => path).sort()).toEqual(Object.keys(except).sort());
  });

  const pure = [
    'accounts/admission.ts',
    'accounts/caps.ts',
    'accounts/sign-in/claims.ts',
    'accounts/usage/facts.ts',
    'cli/command-line.ts',
    'cli/exit-codes.ts',
    'cli/fault.ts',
    'cli/file-names.ts',
    'cli/progress.ts',
    'cli/request-text.ts',
    'cli/submission.ts',
    'cli/table.ts',
    'cli/text.ts',
    'cli/times.ts',
    'cli/webhook-text.ts',
    'generation/asks.ts',
    'generation/assess.ts',
    'generation/breaker/circuit.ts',
    'generation/breaker/pace.ts',
    'generation/breaker/permits.ts',
    'generation/breaker/snapshot.ts',
    'generation/breaker/turns.ts',
    'generation/candidates.ts',
    'generation/manifest.ts',
    'generation/plan.ts',
    'generation/prices.ts',
    'generation/submission.ts',
    'mcp/reach.ts',
    'openai/parameters.ts',
    'openai/translate.ts',
    'images/orphan-rules.ts',
    'images/disposition.ts',
    'images/variants/plan.ts',
    'images/variants/scaling.ts',
    'platform/backoff.ts',
    'platform/conditions.ts',
    'requests/estimate.ts',
    'requests/known-versions.ts',
    'requests/lifecycle.ts',
    'requests/look-again.ts',
    'requests/money.ts',
    'requests/queueing.ts',
    'requests/remote-job.ts',
    'requests/retention.ts',
    'requests/retry.ts',
    'requests/revising.ts',
    'styles/apply.ts',
    'webhooks/delivery.ts',
    'webhooks/log/page.ts',
    'webhooks/lanes.ts',
    'webhooks/endpoints/health.ts',
    'webhooks/endpoints/ping.ts',
    'webhooks/endpoints/secrets.ts',
    'webhooks/schedule.ts',
  ];
  it.each(pure)('%s is a pure rule: no waiting, no clock, no chance, no state', (path) => {
    const source = everything.find((candidate) => candidate.path === path);
    expect(source).toBeDefined();
    expect(source?.code).not.toMatch(/\bawait\b|\basync\b|Date\.now|Math\.random|\bthis\b|\benv\b/);
  });

  it('routes hold no SQL and catch nothing', () => {
    const routes = sources.filter(({ path }) => path.endsWith('routes.ts'));
    expect(routes.length).toBeGreaterThan(4);
    expect(
      routes.filter(({ code }) => /\bcatch\b|\btry\b/.test(code)).map(({ path }) => path),
    ).toEqual([]);
  });

  it('no file is longer than 400 lines', () => {
    const long = sources.filter(
      ({ path, text }) => path !== TABLE && text.trimEnd().split('\n').length > 400,
    );
    expect(long.map(({ path }) => path)).toEqual([]);
  });

  it('no folder is named after nothing, and no file only passes others on', () => {
    const names = /(^|\/)(utils?|helpers?|commons?|lib|core|shared|managers?|handlers?)(\/|\.ts$)/;
    expect(sources.map(({ path }) => path).filter((path) => names.test(path))).toEqual([]);
    expect(sources.map(({ path }) => path).filter((path) => path.endsWith('/index.ts'))).toEqual(
      [],
    );
  });
});

describe('the client and the command line', () => {
  const inside = (folder: string) => published.filter(({ path }) => path.startsWith(`${folder}/`));
  /** Of code that runs; types are gone by then. */
  const packagesOf = (text: string) =>
    [...text.matchAll(/^(?:import|export)\s+(?!type )[^;'"]*from\s+'([^.'][^']*)';/gm)].map(
      ([, specifier = '']) => specifier,
    );

  it('know nothing of the Worker, which knows nothing of them; the client stands by itself', () => {
    const outward = published
      .flatMap(({ path, text }) => importsOf(path, text))
      .filter(
        ({ from, to }) =>
          !(from.startsWith('cli/') ? /^cl(i|ient)\/|^package\.json$/ : /^client\//).test(to),
      );
    expect(outward.map(show)).toEqual([]);
    expect(imports.filter(({ to }) => PUBLISHED.test(to)).map(show)).toEqual([]);
    expect(inside('client').length).toBeGreaterThan(10);
    expect(inside('cli').length).toBeGreaterThan(1);
  });

  it('the client runs wherever there is fetch: two packages, and nothing of Node alone', () => {
    const packages = inside('client').flatMap(({ text }) => packagesOf(text));
    expect([...new Set(packages)].sort()).toEqual(['openapi-fetch', 'standardwebhooks']);
    const ofNode = inside('client').filter(({ code }) => /\b(Buffer|process|require)\b/.test(code));
    expect(ofNode.map(({ path }) => path)).toEqual([]);
  });

  it('nothing in them is of the type any, or longer than 400 lines but what is generated', () => {
    const written = published.filter(({ path }) => path !== 'client/schema.ts');
    const faulty = written.filter(
      ({ code, text }) => /(?<!\.)\bany\b/.test(code) || text.trimEnd().split('\n').length > 400,
    );
    expect(faulty.map(({ path }) => path)).toEqual([]);
  });
});

/** Without comments and the text of strings; what a template embeds stays. */
function codeOf(text: string): string {
  const token =
    /\/\*[\s\S]*?\*\/|\/\/.*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`|\/(?![*/\s])(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/(?=[a-z]*[.,;)\]\s])/g;
  return text.replace(token, (found) =>
    found.startsWith('`')
      ? [...found.matchAll(/\$\{([^{}]*)\}/g)].map(([, code]) => code).join(' ')
      : '',
  );
}

function importsOf(from: string, text: string): Import[] {
  const statements = text.matchAll(/^(?:import|export)\s+([^;'"]*?)\s*from\s+'(\.[^']+)';/gm);
  return [...statements].map(([, clause = '', specifier = '']) => {
    const members = /\{([\s\S]*)\}/.exec(clause)?.[1] ?? '';
    const names = members.split(',').filter((name) => name.trim() !== '');
    const isType =
      clause.startsWith('type ') ||
      (names.length > 0 && names.every((name) => name.trim().startsWith('type ')));
    return { from, to: resolve(from, specifier), isType };
  });
}

function resolve(from: string, specifier: string): string {
  const parts = from.split('/').slice(0, -1);
  for (const step of specifier.split('/')) {
    if (step === '..') parts.pop();
    else if (step !== '.') parts.push(step);
  }
  return parts.join('/');
}
