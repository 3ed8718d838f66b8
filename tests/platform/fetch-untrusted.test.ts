import { describe, expect, it } from 'vitest';
import {
  checkUntrustedUrl,
  createFetchUntrusted,
  type UntrustedRequest,
} from '../../src/platform/fetch-untrusted';

const strict = { allowLocal: false, ownHosts: ['api.foreman.dev', 'Images.Foreman.dev.'] };
const local = { allowLocal: true, ownHosts: ['api.foreman.dev', 'localhost'] };

const reasonOf = (url: string, policy = strict) => {
  const checked = checkUntrustedUrl(url, policy);
  return checked.ok ? null : checked.reason;
};
const hrefOf = (url: string, policy = strict) => {
  const checked = checkUntrustedUrl(url, policy);
  return checked.ok ? checked.url.href : checked.reason;
};

const HOSTILE: readonly (readonly [group: string, reason: RegExp, urls: readonly string[]])[] = [
  [
    'another scheme than https',
    /must use https/,
    [
      'http://example.com/',
      'ftp://example.com/',
      'file:///etc/passwd',
      'data:text/plain,x',
      'javascript:alert(1)',
      'gopher://example.com:70/',
      'ws://example.com/',
      'wss://example.com/',
      'blob:https://example.com/1',
      'httpss://example.com/',
      '//example.com/',
      '/path',
      'example.com',
      '',
    ],
  ],
  [
    'user info',
    /user name or password/,
    [
      'https://user@example.com/',
      'https://user:password@example.com/',
      'https://:password@example.com/',
      'https://@example.com/',
      'https://example.com@10.0.0.1/',
      'https://example.com%40x@10.0.0.1/',
      'https://10.0.0.1&@example.com/',
      'https://example.com／@10.0.0.1/',
    ],
  ],
  [
    'another port than 443',
    /port/,
    [
      'https://example.com:80/',
      'https://example.com:8443/',
      'https://example.com:0/',
      'https://93.184.216.34:22/',
      'https://[2606:4700:4700::1111]:8443/',
      'https://example.com:0444/',
    ],
  ],
  [
    'no host',
    /must name a host/,
    [
      'https://',
      'https:///example.com',
      'https:',
      'https:example.com',
      'https:/10.0.0.1',
      'https:////10.0.0.1/',
      'https:／/10.0.0.1/',
      'https://?',
    ],
  ],
  [
    'characters that parsers disagree on',
    /white space, control characters or backslashes/,
    [
      ' https://example.com/',
      'https://example.com/\n',
      'https://exa\tmple.com/',
      'https://example.com/a b',
      'https://example.com\\@10.0.0.1/',
      'https:\\\\10.0.0.1\\',
      'https://example.com/\u0000',
    ],
  ],
  [
    'what is no URL',
    /cannot be parsed/,
    [
      'https://example.com:99999/',
      'https://exa%00mple.com/',
      'https://256.1.1.1/',
      'https://1.2.3.4.5/',
      'https://1.2.3.08/',
      'https://0xfffffffff/',
      'https://[::1/',
      'https://[fe80::1%25eth0]/',
      'https://[::1].com/',
      'https://[::1].:443/',
      'https://[::1%25lo]/',
      'https://[fe80::1%eth0]/',
      'https://[::ffff:127.1]/',
      'https://[::ffff:0x7f000001]/',
      'https://[127.0.0.1]/',
      'https://[1:2:3:4:5:6:7:8:9]/',
      'https://0b1111111.0.0.1/',
      'https://4294967296/',
      'https://425.510.425.510/',
      'https://example.com:443:80/',
      'https://example.com:４４３/',
      'https://example.com：8443/',
      'https://example.com＠10.0.0.1/',
      'https://10.0.0.1／.example.com/',
      'https://10.0.0.1？.example.com/',
      'https://10.0.0.1＃.example.com/',
      'https://localhost%00.example.com/',
      'https://ex%2fample.com/',
      'https://a.0x1/',
      'https://%/',
    ],
  ],
  [
    'a malformed host name',
    /not a valid domain name/,
    [
      'https://./',
      'https://../',
      'https://example.com../',
      'https://127.0.0.1../',
      'https://127.0.0.1.%2e/',
      'https://10.0.0.1;.example.com/',
      'https://foo..com/',
      'https://.com/',
      'https://*.example.com/',
      "https://a'b.example.com/",
      `https://${'a'.repeat(64)}.com/`,
      `https://${'abc.'.repeat(63)}com/`,
    ],
  ],
  [
    'a loopback address, however it is spelled',
    /127\.\d+\.\d+\.\d+ is not a public one \(loopback\)/,
    [
      'https://127.0.0.1/',
      'https://127.0.0.1./',
      'https://127.0.0.1:443/',
      'https://127.255.255.254/',
      'https://127.1/',
      'https://127.0.1/',
      'https://2130706433/',
      'https://0x7f000001/',
      'https://0x7f.1/',
      'https://0x7F.0x0.0x0.0x1/',
      'https://0177.0.0.1/',
      'https://017700000001/',
      'https://0177.0x0.1/',
      'https://①②⑦.0.0.1/',
      'https://127。0。0。1/',
      'https://127．0．0．1/',
      'https://127｡0｡0｡1/',
      'https://１２７.０.０.１/',
      'https://𝟏𝟐𝟕.0.0.1/',
      'https://¹²⁷.0.0.1/',
      'https://127.0.0.1%2e/',
      'https://127%2e0%2e0%2e1/',
      'https://%30x7f000001/',
      'https://0x7f。1/',
      'https://0000000177.0.0.1/',
      'https://0x000000007f000001/',
      'https://127.0x0.0.0X1/',
      'https://%31%32%37.0.0.1/',
      'HTTPS://127.0.0.1',
    ],
  ],
  [
    'a private address',
    /\(private\)/,
    [
      'https://10.0.0.0/',
      'https://10.255.255.255/',
      'https://167772161/',
      'https://012.0.0.1/',
      'https://172.16.0.1/',
      'https://172.31.255.255/',
      'https://192.168.0.1/',
      'https://192.168.257/',
      'https://[fc00::1]/',
      'https://[fd00:ec2::254]/',
      'https://[fdff:ffff::1]/',
    ],
  ],
  [
    'another special IPv4 address',
    /is not a public one/,
    [
      'https://0/',
      'https://0.0.0.0/',
      'https://0x/',
      'https://0X.0X.0X.0X/',
      'https://0.255.255.255/',
      'https://100.64.0.1/',
      'https://100.100.100.200/',
      'https://100.127.255.255/',
      'https://169.254.169.254/latest/meta-data/',
      'https://0xa9fea9fe/',
      'https://2852039166/',
      'https://0251.0376.0251.0376/',
      'https://169.16689662/',
      'https://169.254.0.0/',
      'https://192.0.0.1/',
      'https://192.0.0.192/',
      'https://192.0.2.1/',
      'https://192.31.196.1/',
      'https://192.52.193.1/',
      'https://192.88.99.1/',
      'https://192.175.48.1/',
      'https://198.18.0.1/',
      'https://198.19.255.255/',
      'https://198.51.100.1/',
      'https://203.0.113.1/',
      'https://224.0.0.1/',
      'https://239.255.255.255/',
      'https://240.0.0.1/',
      'https://255.255.255.255/',
      'https://4294967295/',
      'https://168.63.129.16/',
    ],
  ],
  [
    'a special IPv6 address',
    /is not a public one/,
    [
      'https://[::]/',
      'https://[::1]/',
      'https://[0:0:0:0:0:0:0:1]/',
      'https://[0000:0000:0000:0000:0000:0000:0000:0001]/',
      'https://[::0.0.0.1]/',
      'https://[::0001]:443/',
      'https://[::2]/',
      'https://[::ffff:127.0.0.1]/',
      'https://[::FFFF:7f00:1]/',
      'https://[0:0:0:0:0:ffff:169.254.169.254]/',
      'https://[::ffff:93.184.216.34]/',
      'https://[::127.0.0.1]/',
      'https://[::ffff:0:127.0.0.1]/',
      'https://[64:ff9b::a00:1]/',
      'https://[64:ff9b::169.254.169.254]/',
      'https://[64:FF9B::0A00:0001]/',
      'https://[64:ff9b:1::1]/',
      'https://[100::1]/',
      'https://[100:0:0:1::1]/',
      'https://[2001::1]/',
      'https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/',
      'https://[2001:2::1]/',
      'https://[2001:10::1]/',
      'https://[2001:1ff:ffff::1]/',
      'https://[2001:db8::1]/',
      'https://[2002:7f00:1::1]/',
      'https://[2002:a9fe:a9fe::]/',
      'https://[2001:470:1:1:0:5efe:7f00:1]/',
      'https://[2001:470:1:1:200:5efe:10.0.0.1]/',
      'https://[2620:4f:8000::1]/',
      'https://[3fff::1]/',
      'https://[3fff:fff::1]/',
      'https://[4000::1]/',
      'https://[5f00::1]/',
      'https://[fe80::1]/',
      'https://[febf::1]/',
      'https://[fec0::1]/',
      'https://[ff02::1]/',
      'https://[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]/',
    ],
  ],
  [
    'a name without a dot',
    /full domain name/,
    [
      'https://localhost/',
      'https://LOCALHOST/',
      'https://localhost./',
      'https://%6c%6f%63alhost/',
      'https://ⓛocalhost/',
      'https://localho\u00adst/',
      'https://metadata/',
      'https://com/',
      'https://xn--p1ai/',
    ],
  ],
  [
    'a name that public DNS does not know',
    /not a public name \(\.[a-z0-9_-]+\)/,
    [
      'https://app.localhost/',
      'https://app.localhost./',
      'https://localhost.localdomain/',
      'https://metadata.google.internal/',
      'https://METADATA.GOOGLE.INTERNAL./',
      'https://host.docker.internal/',
      'https://printer.local/',
      'https://printer。local/',
      'https://printer.ⓛocal/',
      'https://printer.lo\u00adcal/',
      'https://metadata.google.internal%2e/',
      'https://kubernetes.default/',
      'https://kubernetes.default.svc/',
      'https://vault.service.consul/',
      'https://gateway.docker/',
      'https://relay.mail/',
      'https://gateway.localhost6/',
      'https://127.0.0.1e0/',
      'https://127.0.0.1-/',
      'https://127.0.0.1_/',
      'https://host.x/',
      'https://api.default.svc.cluster.local/',
      'https://router.home.arpa/',
      'https://ipv4only.arpa/',
      'https://1.0.0.127.in-addr.arpa/',
      'https://facebookcorewwwi.onion/',
      'https://nas.lan/',
      'https://wiki.corp/',
      'https://tv.home/',
      'https://wiki.intranet/',
      'https://db.private/',
      'https://name.alt/',
      'https://hooks.test/',
      'https://hooks.invalid/',
      'https://hooks.example/',
    ],
  ],
  [
    "the service's own host",
    /this service itself/,
    [
      'https://api.foreman.dev/v1/requests',
      'https://API.Foreman.DEV/',
      'https://api.foreman.dev./',
      'https://api.foreman.dev:443/',
      'https://%61pi.foreman.dev/',
      'https://api。foreman。dev/',
      'https://api.ⓕoreman.dev/',
      'https://ap\u00adi.foreman.dev/',
      'https://api.foreman.dev%2e:0443/',
      'https://images.foreman.dev/',
    ],
  ],
  [
    'more than 2048 characters',
    /no longer than 2048/,
    [
      `https://example.com/${'a'.repeat(2_029)}`,
      `https://example.com/#${'a'.repeat(2_028)}`,
      // Shorter as written; every character is six once it is encoded.
      `https://example.com/${'ü'.repeat(400)}`,
    ],
  ],
];

describe('a URL from outside', () => {
  describe.each(HOSTILE)('with %s is refused', (_, reason, urls) => {
    it.each(urls.map((url) => [url]))('%j', (url) => {
      expect(reasonOf(url)).toMatch(reason);
      expect(reasonOf(url)).toMatch(/^The URL.*\.$/);
    });
  });

  it.each([
    ['https://255.255.255.255/', 'broadcast'],
    ['https://254.255.255.255/', 'reserved'],
    ['https://[::]/', 'unspecified'],
    ['https://[::1]/', 'loopback'],
    ['https://[::127.0.0.1]/', 'IPv4-compatible'],
    ['https://[::ffff:127.0.0.1]/', 'IPv4-mapped'],
    ['https://[64:ff9b::a00:1]/', 'NAT64'],
    ['https://[64:ff9b:1::1]/', 'NAT64'],
    ['https://[100::1]/', 'discard-only'],
    ['https://[2001::1]/', 'Teredo'],
    ['https://[2001:2::1]/', 'protocol assignment'],
    ['https://[2001:470:1:1:0:5efe:7f00:1]/', 'ISATAP'],
    ['https://[2002:7f00:1::1]/', '6to4'],
    ['https://[4000::1]/', 'reserved'],
    ['https://[fec0::1]/', 'site-local'],
    ['https://[ff02::1]/', 'multicast'],
  ])('%s is refused by the name of its range: %s', (url, what) => {
    expect(reasonOf(url)).toContain(`is not a public one (${what}).`);
  });

  it.each([
    ['https://example.com', 'https://example.com/'],
    ['HTTPS://EXAMPLE.COM/Path?q=1', 'https://example.com/Path?q=1'],
    ['https://example.com:443/', 'https://example.com/'],
    ['https://example.com./hook', 'https://example.com/hook'],
    ['https://example.com/#fragment', 'https://example.com/'],
    ['https://example.com/?a=b#', 'https://example.com/?a=b'],
    ['https://bücher.de/', 'https://xn--bcher-kva.de/'],
    ['https://xn--bcher-kva.de/', 'https://xn--bcher-kva.de/'],
    ['https://my_bucket.s3.amazonaws.com/a.png', 'https://my_bucket.s3.amazonaws.com/a.png'],
    ['https://example.com/user@host', 'https://example.com/user@host'],
    ['https://example.com?to=a@b', 'https://example.com/?to=a@b'],
    ['https://hooks.example.com/10.0.0.1', 'https://hooks.example.com/10.0.0.1'],
    ['https://localhost.example.com/', 'https://localhost.example.com/'],
    ['https://internal.com/', 'https://internal.com/'],
    ['https://127.0.0.1.example.com/', 'https://127.0.0.1.example.com/'],
    ['https://www.api.foreman.dev/', 'https://www.api.foreman.dev/'],
    ['https://api.foreman.dev.example.com/', 'https://api.foreman.dev.example.com/'],
    ['https://1.1.1.1/', 'https://1.1.1.1/'],
    ['https://9.255.255.255/', 'https://9.255.255.255/'],
    ['https://11.0.0.0/', 'https://11.0.0.0/'],
    ['https://100.63.255.255/', 'https://100.63.255.255/'],
    ['https://100.128.0.0/', 'https://100.128.0.0/'],
    ['https://126.255.255.255/', 'https://126.255.255.255/'],
    ['https://128.0.0.0/', 'https://128.0.0.0/'],
    ['https://169.253.255.255/', 'https://169.253.255.255/'],
    ['https://172.15.255.255/', 'https://172.15.255.255/'],
    ['https://172.32.0.0/', 'https://172.32.0.0/'],
    ['https://192.0.1.0/', 'https://192.0.1.0/'],
    ['https://192.167.255.255/', 'https://192.167.255.255/'],
    ['https://198.20.0.0/', 'https://198.20.0.0/'],
    ['https://223.255.255.255/', 'https://223.255.255.255/'],
    ['https://16843009/', 'https://1.1.1.1/'],
    ['https://[2606:4700:4700::1111]/', 'https://[2606:4700:4700::1111]/'],
    ['https://[2001:4860:4860::8888]/', 'https://[2001:4860:4860::8888]/'],
    ['https://[2001:200::1]/', 'https://[2001:200::1]/'],
    ['https://[2003::1]/', 'https://[2003::1]/'],
    [`https://example.com/${'a'.repeat(2_028)}`, `https://example.com/${'a'.repeat(2_028)}`],
  ])('that is public is called as it is written, normalised: %s', (url, href) => {
    expect(hrefOf(url)).toBe(href);
  });
});

describe('in local development a URL', () => {
  it.each([
    ['http://example.com/', 'http://example.com/'],
    ['http://127.0.0.1:9000/hook', 'http://127.0.0.1:9000/hook'],
    ['http://localhost:9000/#x', 'http://localhost:9000/'],
    ['http://localhost./', 'http://localhost/'],
    ['http://[::1]:9000/', 'http://[::1]:9000/'],
    ['https://localhost:8443/', 'https://localhost:8443/'],
    ['http://10.0.0.5/', 'http://10.0.0.5/'],
    ['http://192.168.1.20:3000/', 'http://192.168.1.20:3000/'],
    ['http://100.64.0.9/', 'http://100.64.0.9/'],
    ['http://[fd12::1]/', 'http://[fd12::1]/'],
    ['http://receiver:3000/', 'http://receiver:3000/'],
    ['http://host.docker.internal:3000/', 'http://host.docker.internal:3000/'],
    ['https://hooks.test/', 'https://hooks.test/'],
  ])('may be local, on any port: %s', (url, href) => {
    expect(hrefOf(url, local)).toBe(href);
  });

  it.each([
    ['ftp://localhost/', /must use https or http/],
    ['http://user@localhost/', /user name/],
    ['http://169.254.169.254/', /link-local/],
    ['http://[fe80::1]/', /link-local/],
    ['http://[::ffff:127.0.0.1]/', /IPv4-mapped/],
    ['http://0.0.0.0/', /this network/],
    ['http://224.0.0.1/', /multicast/],
    ['http://a..b/', /not a valid domain name/],
    ['http://api.foreman.dev:8787/', /this service itself/],
  ])('is refused where nothing local is gained: %s', (url, reason) => {
    expect(reasonOf(url, local)).toMatch(reason);
  });
});

type Handler = (request: Request) => Response | Promise<Response>;
const URL_1 = 'https://hooks.example.com/in';
const DEFAULTS: UntrustedRequest = {
  method: 'GET',
  timeoutMs: 5_000,
  maxBytes: 10,
  onOverflow: 'refuse',
};
const SHORT_MS = 30;

/** A fetch that knows one URL, and the calls it saw. */
function createFake(handler: Handler) {
  const calls: { readonly url: string; readonly request: Request; readonly init: RequestInit }[] =
    [];
  const fake = async (input: RequestInfo | URL, init: RequestInit = {}) => {
    const request = new Request(input, init);
    if (request.url !== URL_1) throw new Error(`unlisted URL ${request.url}`);
    calls.push({ url: String(input), request, init });
    return handler(request);
  };
  const fetchUntrusted = createFetchUntrusted({ fetch: fake as typeof fetch, ...strict });
  const call = (init: Partial<UntrustedRequest> = {}, url = URL_1) =>
    fetchUntrusted(url, { ...DEFAULTS, ...init });
  return { calls, call };
}

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (body: Uint8Array) => new TextDecoder().decode(body);

/** A body that gives out chunks for ever, or stalls when there are none left. */
function createStream(chunks: Iterable<string>) {
  const iterator = chunks[Symbol.iterator]();
  const state = { cancelled: false, given: 0 };
  const stream = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const next = iterator.next();
        if (next.done) return await new Promise<void>(() => {});
        state.given += 1;
        controller.enqueue(bytes(next.value));
      },
      cancel() {
        state.cancelled = true;
        // A hostile stream never says that it has stopped.
        return new Promise<void>(() => {});
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, state };
}

function* forever() {
  for (;;) yield 'abcd';
}

describe('fetchUntrusted', () => {
  it('answers with the status, headers and body of the receiver', async () => {
    const { call } = createFake(
      () => new Response('hello', { status: 418, headers: { 'x-a': 'b' } }),
    );
    const answer = await call();
    expect(answer).toMatchObject({ outcome: 'answered', status: 418, truncated: false });
    if (answer.outcome !== 'answered') throw new Error('no answer');
    expect(text(answer.body)).toBe('hello');
    expect(answer.headers.get('x-a')).toBe('b');
    expect(answer.durationMs).toBeGreaterThanOrEqual(0);
  });

  it.each([
    ['text', 'payload'],
    ['bytes', bytes('payload')],
  ])('sends method, headers and a body of %s', async (_, body) => {
    const { call, calls } = createFake(async (request) => new Response(await request.text()));
    const answer = await call({ method: 'POST', headers: { 'webhook-id': 'dlv_1' }, body });
    expect(answer).toMatchObject({ outcome: 'answered', body: bytes('payload') });
    expect(calls[0]?.request.method).toBe('POST');
    expect(calls[0]?.request.headers.get('webhook-id')).toBe('dlv_1');
  });

  it('does not let the caller name another host', async () => {
    const { call, calls } = createFake(() => new Response());
    await call({ headers: { Host: 'internal', hOST: 'internal', 'x-host': 'kept' } });
    const headers = new Headers(calls[0]?.init.headers);
    expect([...headers.keys()]).toEqual(['x-host']);
  });

  it('calls the normalised URL, so that what was checked is what is called', async () => {
    const { call, calls } = createFake(() => new Response());
    await call({}, 'HTTPS://Hooks.Example.COM.:443/in#secret');
    expect(calls.map(({ url }) => url)).toEqual([URL_1]);
  });

  it('sends nothing to a URL that it refuses', async () => {
    const { call, calls } = createFake(() => new Response());
    const answer = await call({}, 'https://169.254.169.254/');
    expect(answer).toEqual({
      outcome: 'refused',
      reason: "The URL's address 169.254.169.254 is not a public one (link-local).",
    });
    expect(calls).toHaveLength(0);
  });

  it.each([301, 302, 303, 307, 308])(
    'takes a %i for the answer and does not follow',
    async (status) => {
      const { call, calls } = createFake(
        () => new Response(null, { status, headers: { location: 'https://169.254.169.254/' } }),
      );
      expect(await call()).toMatchObject({ outcome: 'answered', status });
      expect(calls.map(({ init }) => init.redirect)).toEqual(['manual']);
    },
  );

  it.each([204, 304])('takes a %i without a body', async (status) => {
    const { call } = createFake(() => new Response(null, { status }));
    const answer = await call();
    expect(answer).toMatchObject({ outcome: 'answered', status, truncated: false });
    expect(answer.outcome === 'answered' && answer.body).toHaveLength(0);
  });

  it.each(['truncate', 'refuse'] as const)(
    'takes a body of just maxBytes (%s)',
    async (onOverflow) => {
      const { call } = createFake(() => new Response('0123456789'));
      const answer = await call({ onOverflow });
      expect(answer).toMatchObject({ outcome: 'answered', truncated: false });
      expect(answer.outcome === 'answered' && text(answer.body)).toBe('0123456789');
    },
  );

  it('says that a body was cut when maxBytes ends between two chunks', async () => {
    const { stream } = createStream(['01234', '56789', 'a']);
    const { call } = createFake(() => new Response(stream));
    const answer = await call({ onOverflow: 'truncate' });
    expect(answer).toMatchObject({ outcome: 'answered', truncated: true });
    expect(answer.outcome === 'answered' && text(answer.body)).toBe('0123456789');
  });

  it('cuts an endless body after maxBytes and stops the stream', async () => {
    const { stream, state } = createStream(forever());
    const { call } = createFake(() => new Response(stream));
    const answer = await call({ onOverflow: 'truncate' });
    expect(answer).toMatchObject({ outcome: 'answered', status: 200, truncated: true });
    expect(answer.outcome === 'answered' && text(answer.body)).toBe('abcdabcdab');
    expect(state).toEqual({ cancelled: true, given: 3 });
  });

  it('refuses an endless body after maxBytes and stops the stream', async () => {
    const { stream, state } = createStream(forever());
    const { call } = createFake(() => new Response(stream));
    expect(await call()).toMatchObject({
      outcome: 'failed',
      phase: 'sent',
      kind: 'too_large',
      message: 'The answer is larger than 10 bytes.',
    });
    expect(state).toEqual({ cancelled: true, given: 3 });
  });

  it('gives up on a body that stalls, and stops the stream', async () => {
    const { stream, state } = createStream(['abc']);
    const { call } = createFake(() => new Response(stream));
    expect(await call({ onOverflow: 'refuse', timeoutMs: SHORT_MS })).toMatchObject({
      outcome: 'failed',
      phase: 'sent',
      kind: 'timeout',
      message: `There was no whole answer within ${SHORT_MS} ms.`,
    });
    expect(state.cancelled).toBe(true);
  });

  it('keeps the status of an answer whose body stalls or breaks off, for who takes it cut', async () => {
    const { stream, state } = createStream(['abc']);
    const stalls = createFake(() => new Response(stream, { status: 202 }));
    const cut = { outcome: 'answered', truncated: true, body: new Uint8Array() };
    const asked = { onOverflow: 'truncate', timeoutMs: SHORT_MS } as const;
    expect(await stalls.call(asked)).toMatchObject({ ...cut, status: 202 });
    expect(state.cancelled).toBe(true);
    const broken = new ReadableStream({ pull: (controller) => controller.error(new Error('cut')) });
    const breaks = createFake(() => new Response(broken, { status: 500 }));
    expect(await breaks.call(asked)).toMatchObject({ ...cut, status: 500 });
  });

  it('gives up on headers that do not come, and aborts the call', async () => {
    const { call, calls } = createFake(() => new Promise(() => {}));
    const answer = await call({ timeoutMs: SHORT_MS });
    expect(answer).toMatchObject({ outcome: 'failed', phase: 'sent', kind: 'timeout' });
    expect(calls[0]?.init.signal?.aborted).toBe(true);
  });

  it('gives headers and body one time limit together', async () => {
    const { stream } = createStream([]);
    const { call } = createFake(async () => {
      await new Promise((resolve) => setTimeout(resolve, 90));
      return new Response(stream);
    });
    const startedAt = performance.now();
    expect(await call({ timeoutMs: 100 })).toMatchObject({ kind: 'timeout' });
    expect(performance.now() - startedAt).toBeLessThan(180);
  });

  it('leaves a call alone once it has ended', async () => {
    const { call, calls } = createFake(() => new Response('ok'));
    await call({ timeoutMs: SHORT_MS });
    await new Promise((resolve) => setTimeout(resolve, 2 * SHORT_MS));
    expect(calls[0]?.init.signal?.aborted).toBe(false);
  });

  it.each([
    ['before it is sent', 'connect', () => AbortSignal.abort()],
    ['while it is on its way', 'sent', () => AbortSignal.timeout(SHORT_MS)],
  ])('is given up by a signal %s', async (_, phase, signal) => {
    const { stream } = createStream(['abc']);
    const { call, calls } = createFake(() => new Response(stream));
    expect(await call({ signal: signal() })).toMatchObject({
      outcome: 'failed',
      phase,
      kind: 'canceled',
      message: 'The call was given up.',
    });
    expect(calls).toHaveLength(phase === 'sent' ? 1 : 0);
  });

  it('turns a lost connection into an outcome that quotes nothing', async () => {
    const { call } = createFake(() => {
      throw new Error('Network connection lost to 10.1.2.3');
    });
    expect(await call()).toMatchObject({
      outcome: 'failed',
      phase: 'sent',
      kind: 'network',
      message: 'The connection failed.',
    });
  });

  it('turns a body that breaks off into an outcome', async () => {
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(bytes('abc')),
      pull: (controller) => controller.error(new TypeError('Gzip decompression failed.')),
    });
    const { call } = createFake(() => new Response(stream));
    expect(await call()).toMatchObject({ outcome: 'failed', phase: 'sent', kind: 'network' });
  });

  it('sends nothing when a header cannot be sent', async () => {
    const { call, calls } = createFake(() => new Response());
    const answer = await call({ headers: { 'x-a': 'b\r\nhost: internal' } });
    expect(answer).toMatchObject({ outcome: 'failed', phase: 'connect', kind: 'network' });
    expect(calls).toHaveLength(0);
  });

  it('measures with the clock it is given', async () => {
    const times = [1_000, 1_250];
    const fetchUntrusted = createFetchUntrusted({
      fetch: async () => new Response('ok'),
      now: () => times.shift() ?? 0,
      ...strict,
    });
    expect(await fetchUntrusted(URL_1, DEFAULTS)).toMatchObject({ durationMs: 250 });
  });
});
