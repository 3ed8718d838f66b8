/** Command lines that are said to people, to be copied into a shell. Pure. */

/** A longer one is no help: an image can be part of it. */
const MOST_CHARS = 1_000;
const SECRETS = ['--key', '--token'];
const REPLACED = '--idempotency-key';

const quoted = (word: string) =>
  /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;

/** The same command with the key that makes it one and the same request; no secret is repeated. */
export function again(words: readonly string[], idempotencyKey: string): string {
  const dropped = [...SECRETS, REPLACED];
  const kept = words.filter((word, index) => {
    const before = words[index - 1] ?? '';
    return !dropped.some((name) => word === name || before === name || word.startsWith(`${name}=`));
  });
  const end = kept.indexOf('--');
  const options = end === -1 ? kept : kept.slice(0, end);
  const rest = end === -1 ? [] : kept.slice(end);
  const line = ['foreman', ...options, REPLACED, idempotencyKey, ...rest].map(quoted).join(' ');
  return line.length > MOST_CHARS || /\p{Cc}/u.test(line)
    ? `the same command with ${REPLACED} ${quoted(idempotencyKey)}`
    : line;
}

/** At the same server, should the command line have named one. */
export function waitFor(requestId: string, words: readonly string[]): string {
  const at = words.findIndex((word) => /^--url(=|$)/.test(word));
  const url = words[at] === '--url' ? words.slice(at, at + 2) : words.slice(at, at + 1);
  return ['foreman', 'get', requestId, '--wait', ...(at === -1 ? [] : url)].map(quoted).join(' ');
}
