import { describe, expect, it } from 'vitest';
import { type ServerEvent, serverEvents } from '../../../src/generation/providers/server-events';

async function read(chunks: readonly Uint8Array[]): Promise<ServerEvent[]> {
  const events: ServerEvent[] = [];
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
  for await (const event of serverEvents(body)) events.push(event);
  return events;
}

const bytesOf = (text: string) => new TextEncoder().encode(text);
/** Every place between two bytes is a place where a chunk may end. */
const inPieces = (text: string, size: number) => {
  const bytes = bytesOf(text);
  const count = Math.ceil(bytes.byteLength / size);
  return Array.from({ length: count }, (_, at) => bytes.subarray(at * size, (at + 1) * size));
};

const cases: [name: string, text: string, events: ServerEvent[]][] = [
  ['names and data', 'event: a\ndata: 1\n\n', [{ name: 'a', data: '1' }]],
  ['data alone', 'data: 1\n\n', [{ name: 'message', data: '1' }]],
  ['data of several lines', 'data: 1\ndata:2\n\n', [{ name: 'message', data: '1\n2' }]],
  ['one space taken away, and no more', 'data:  1 \n\n', [{ name: 'message', data: ' 1 ' }]],
  ['no name of the event before', 'event: a\n\ndata: 1\n\n', [{ name: 'message', data: '1' }]],
  [
    'comments and fields of no use',
    ': hi\nid: 7\nretry: 1\ndata\n\n',
    [{ name: 'message', data: '' }],
  ],
  [
    'every way to end a line',
    'event: a\r\ndata: 1\r\n\r\nevent: b\rdata: 2\r\rdata: 3\n\n',
    [
      { name: 'a', data: '1' },
      { name: 'b', data: '2' },
      { name: 'message', data: '3' },
    ],
  ],
  [
    'letters of several bytes, after a mark of the order',
    '\uFEFFdata: ä🎨\n\n',
    [{ name: 'message', data: 'ä🎨' }],
  ],
  ['nothing that is not whole', 'data: 1\n\ndata: 2\n', [{ name: 'message', data: '1' }]],
];

describe('server-sent events', () => {
  it.each(cases)('have %s, wherever chunks end', async (_name, text, events) => {
    for (let size = 1; size <= text.length + 1; size += 1) {
      expect(await read(inPieces(text, size))).toEqual(events);
    }
  });

  it('cancel what they are read from when nobody wants more', async () => {
    let isCanceled = false;
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(bytesOf('data: 1\n\n')),
      cancel() {
        isCanceled = true;
      },
    });
    for await (const event of serverEvents(endless)) {
      expect(event.data).toBe('1');
      break;
    }
    expect(isCanceled).toBe(true);
  });
});
