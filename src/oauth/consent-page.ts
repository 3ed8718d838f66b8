/**
 * The page on which a user lets an app in. What the app says of itself is shown as its words: cut,
 * without what would turn the text around it, and escaped by the template.
 */
import { html } from 'hono/html';
import type { GrantScope } from '../accounts/grants/types';

export interface ConsentView {
  readonly app: string;
  /**
   * The domain that has published the app's name; null when nobody vouches for it. A host is shown
   * whole, as whose it is stands at its end: out of a URL it is ASCII, and 253 characters at the most.
   */
  readonly domain: string | null;
  readonly redirectHost: string;
  readonly isLocalApp: boolean;
  readonly scopes: readonly { readonly scope: GrantScope; readonly isChosen: boolean }[];
  readonly handle: string;
  /** What was wrong with the last try. */
  readonly fault: string | null;
}

const MAX_NAME_CHARS = 80;

/** Fit to be shown in one line of our own text. */
export function shownName(text: string): string {
  // Controls, what is not seen, and marks that turn the direction of what follows.
  const plain = text
    .toWellFormed()
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim();
  const characters = [...plain];
  if (characters.length === 0) return 'An app without a name';
  if (characters.length <= MAX_NAME_CHARS) return plain;
  return `${characters.slice(0, MAX_NAME_CHARS).join('')}…`;
}

const meanings: Readonly<Record<GrantScope, string>> = {
  'requests:read': 'See your requests, your images and your limits',
  'requests:write': 'Make, cancel and delete requests and images, which spends your budget',
};

const STYLE = `:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:2rem auto;padding:0 1rem;overflow-wrap:anywhere}
fieldset{border:1px solid #8886;border-radius:6px;margin:1rem 0}label{display:block;padding:.4rem 0}
input[type=password]{display:block;box-sizing:border-box;width:100%;font:inherit;padding:.6rem;margin-top:.3rem}
button{font:inherit;padding:.6rem 1.4rem;margin:0 .6rem .6rem 0}
.note{border-left:4px solid #c80;padding-left:.8rem}[role=alert]{border-left:4px solid #c00;padding-left:.8rem}`;

const shell = (title: string, content: unknown) => html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
${content}
</main>
</body>
</html>`;

export function consentPage(view: ConsentView) {
  const { app, domain, redirectHost, isLocalApp, scopes, handle, fault } = view;
  const name = html`<strong><bdi>${shownName(app)}</bdi></strong>`;
  return shell(
    'Let an app in · Foreman',
    html`<h1>Let an app use Foreman for you?</h1>
${fault === null ? '' : html`<p role="alert">${fault}</p>`}
<p>${name} asks for access. ${
      domain === null
        ? 'It has named itself: the name is not verified.'
        : html`Published by <strong><bdi>${domain}</bdi></strong>.`
    }</p>
<p>Access goes to <strong><bdi>${redirectHost}</bdi></strong>.</p>
${
  isLocalApp
    ? html`<p class="note">That is an app on this computer, and each one on it could call itself that.
Go on only if you have just started this yourself.</p>`
    : ''
}
<form method="post">
<input type="hidden" name="handle" value="${handle}">
<fieldset>
<legend>It may</legend>
${scopes.map(
  ({ scope, isChosen }) => html`<label><input type="checkbox" name="scope" value="${scope}"${
    isChosen ? html` checked` : ''
  }> ${meanings[scope]} <small>(${scope})</small></label>
`,
)}
</fieldset>
<label>Your Foreman API key
<input type="password" name="key" autocomplete="current-password" spellcheck="false" aria-describedby="why"></label>
<p id="why"><small>It shows who you are. The app does not get it, and loses its access when the key ends.</small></p>
<p><button name="decision" value="approve">Allow</button>
<button name="decision" value="deny" formnovalidate>Deny</button></p>
</form>`,
  );
}

/** When there is nobody whom the browser could safely be sent back to. */
export const faultPage = (what: string) =>
  shell(
    'This did not work · Foreman',
    html`<h1>This did not work</h1>
<p role="alert">${what}</p>
<p>Go back to the app and start again from there.</p>`,
  );
