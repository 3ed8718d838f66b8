/**
 * Reads server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) as they
 * come. An event that the stream ends within is dropped, as the standard says: it is not whole. How
 * much there may be is the body's to bound.
 */
export interface ServerEvent {
  /** `message` when the sender names none. */
  readonly name: string;
  readonly data: string;
}

/** Leaving the loop over them cancels the body. @throws whatever reading the body throws. */
export async function* serverEvents(
  body: ReadableStream<Uint8Array>,
): AsyncGenerator<ServerEvent, void> {
  let name = '';
  let data: string[] = [];
  for await (const line of linesOf(body)) {
    if (line === '') {
      if (data.length > 0) yield { name: name || 'message', data: data.join('\n') };
      name = '';
      data = [];
      continue;
    }
    const colon = line.indexOf(':');
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') name = value;
    if (field === 'data') data.push(value);
  }
}

/** Whole lines only. A picture is one line in hundreds of chunks, so they are joined once. */
async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder();
  let begun: string[] = [];
  let endedInReturn = false;
  for await (const chunk of body) {
    const text = decoder.decode(chunk, { stream: true });
    if (text === '') continue;
    const ends = /\r\n?|\n/g;
    // The second half of a line's end that two chunks share.
    if (endedInReturn && text.startsWith('\n')) ends.lastIndex = 1;
    endedInReturn = text.endsWith('\r');
    let start = ends.lastIndex;
    for (const end of text.matchAll(ends)) {
      begun.push(text.slice(start, end.index));
      yield begun.join('');
      begun = [];
      start = end.index + end[0].length;
    }
    begun.push(text.slice(start));
  }
}
