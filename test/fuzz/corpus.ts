import { clientLine, cookieField, placeholders, type Request, type Script, type Step } from './script.js';

/** Nobody may take it for a request. */
const smuggled = `GET /smuggled HTTP/1.1\r\nHost: x\r\nX-Token: ${placeholders.play}x0\r\n${cookieField}\r\n`;

/** Time for a move. */
const rest: readonly Step[] = [{ pause: 700 }];

/**
 * Scripts that have found something. They are played first, each in all modes that it is for; what they are about is in
 * their names.
 */
export const corpus: readonly Script[] = [
  /** The second worker took the rest of the body for a request. */
  {
    ...script('a body behind the early answer to an upgrade that nobody takes', 'patient', ({ head }) => {
      const fields = `Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: ${5 + smuggled.length}\r\n`;
      const begin: Step = { send: `${head('POST', '/early', fields)}first` };
      return [begin, { answers: 1 }, ...rest, { send: smuggled }, ...rest, { end: true }];
    }),
    // How Node takes an end right behind this body depends on whether it comes in one read with it.
    sure: 1,
  },
  /** The second worker took the rest of the head for a request, and answered 400. */
  script('a slow head behind an upgrade that nobody takes', 'patient', ({ head }) => [
    { send: head('GET', '/echo', 'Connection: Upgrade\r\nUpgrade: h2c\r\n') },
    { answers: 1 },
    ...inTwo(head('GET', '/echo'), 30),
    { answers: 2 },
    { end: true },
  ]),
  script('a slow head', 'patient', ({ head }) => [
    { send: head('GET', '/echo') },
    { answers: 1 },
    ...rest,
    ...inTwo(head('GET', '/echo'), 30),
    { answers: 2 },
    { end: true },
  ]),
  /** The second worker read on behind the mistake. */
  script('a request behind a mistake that is answered late', 'late', ({ head }) => [
    { send: head('GET', '/echo') },
    { answers: 1 },
    { send: head('POST', '/echo', 'X Bad: 1\r\nContent-Length: 60\r\n') },
    ...rest,
    { send: smuggled },
    { answers: 2 },
    { end: true },
  ]),
  /** A worker that drained answered the first with `close`, and never the second. */
  script('two by two in one piece', 'patient', ({ head }) => [
    ...[1, 2, 3, 4, 5, 6].flatMap((pair): Step[] => [
      { send: head('GET', '/early') + head('GET', '/early') },
      { answers: 2 * pair },
      { pause: 150 },
    ]),
    { end: true },
  ]),
  /** Every worker counted its own. */
  script('more requests than one connection may carry', 'limit', ({ head }) => [
    ...[1, 2, 3, 4, 5, 6, 7].flatMap((answers): Step[] => [
      { send: head('GET', '/echo') },
      { answers },
      { pause: 150 },
    ]),
    { end: true },
  ]),
  /** At every worker it began anew. */
  script('a kept connection on which nothing comes', 'timeouts', ({ head }) => [
    { send: head('GET', '/echo') },
    { answers: 1 },
    { close: true },
  ]),
  /** A worker that drained closed behind its answer: a reset, which made a client lose it that had not read it yet. */
  script('an answer to half of an upload, read later', 'patient', ({ head }) => [
    { slowRead: 2_500 },
    { send: `${head('POST', '/slow?ms=1000', 'Content-Length: 400000\r\n')}${'q'.repeat(200_000)}` },
    { pause: 1_500 },
    { send: 'q'.repeat(100_000) },
    { pause: 300 },
    { send: 'q'.repeat(100_000) },
    { answers: 1 },
    { end: true },
  ]),
  /** A worker that drained executed what came in one piece with the end of the body, behind an answer that said close. */
  script('requests behind an upload that is answered early', 'patient', ({ head }) => [
    ...[1, 2, 3, 4, 5, 6].flatMap((turn): Step[] => [
      { send: `${head('POST', '/early', 'Content-Length: 40\r\n')}${'q'.repeat(20)}` },
      { pause: 120 },
      { send: `${'q'.repeat(20)}${head('GET', '/hints')}${head('GET', '/echo')}` },
      { answers: 3 * turn },
      { pause: 150 },
    ]),
    { end: true },
  ]),
  /** A worker that drained took what was written into the kernel, or was to be, for what the client had got. */
  script('a client that reads slowly', 'patient', ({ head }) => [
    { slowRead: 2_500 },
    { send: head('GET', '/big?n=8000000') },
    { answers: 1 },
    { end: true },
  ]),
  /** The second worker took the client for nobody. */
  ...(['fronted', 'detour'] as const).map((server) =>
    script(`whose connection it is, which the app has read itself (${server})`, server, ({ head }) => [
      { send: clientLine },
      ...[1, 2, 3, 4, 5].flatMap((answers): Step[] => [
        { send: head('GET', '/echo') },
        { answers },
        { pause: 300 },
      ]),
      { end: true },
    ]),
  ),
];

/** For sticky sessions: a worker that looks for the cookie has to meet all that Node's own parser would. */
export const corpusOfSticky: readonly Script[] = [
  script('a line that is no request', 'patient', () => [{ send: 'GARBAGE\r\n' }, { close: true }]),
  script("the beginning of TLS's hello", 'patient', () => [
    { send: '\x16\x03\x01\x02\x00\x01\x00' },
    { close: true },
  ]),
  script('bare line feeds', 'patient', () => [{ send: 'GET / HTTP/1.1\nHost: x\n\n' }, { close: true }]),
  script('an end within the head', 'patient', () => [
    { send: 'GET / HTTP/1.1\r\nHo' },
    { pause: 100 },
    { end: true },
  ]),
  script('an end at once', 'patient', () => [{ end: true }]),
  script('a head that does not go on', 'timeouts', () => [{ send: 'GET / HTTP/1.1\r\nHo' }, { close: true }]),
  script('nothing at all', 'timeouts', () => [{ close: true }]),
  script('a field that is too long', 'patient', () => [
    { send: `GET / HTTP/1.1\r\nX: ${'h'.repeat(20_000)}` },
    { close: true },
  ]),
  script('a body that does not go on', 'timeouts', ({ head }) => [
    { send: `${head('POST', '/echo', 'Content-Length: 5\r\n')}ab` },
    { close: true },
  ]),
  {
    ...script('one connection more than the server takes', 'few', ({ head }) => [
      { send: head('GET', '/echo') },
      { close: true },
    ]),
    beside: `GET /echo HTTP/1.1\r\nHost: x\r\nX-Token: ${placeholders.play}b0\r\n${cookieField}\r\n`,
  },
];

/** Not one of them: where the client has no CPU in the wrong moment, it is right to reset it. */
export const goesOnSending: Script = script('a request in pieces behind an answer', 'patient', ({ head }) => [
  { slowRead: 2_000 },
  { send: head('GET', '/slow?ms=1000') },
  { pause: 1_050 },
  ...[...head('GET', '/echo')].flatMap((letter): Step[] => [{ send: letter }, { pause: 5 }]),
  { answers: 2 },
  { end: true },
]);

/** One of them, by its name. */
export function corpusScript(name: string): Script {
  const found = [...corpus, ...corpusOfSticky].find((one) => one.name === name);
  if (found === undefined) throw new Error(`no script of the corpus is called ${JSON.stringify(name)}`);
  return found;
}

interface Writer {
  /** A head with its own token, which the script is to be answered. */
  head(method: string, path: string, fields?: string): string;
}

function script(name: string, server: Script['server'], steps: (writer: Writer) => Step[]): Script {
  const requests: Request[] = [];
  const head: Writer['head'] = (method, path, fields = '') => {
    const token = `${placeholders.play}r${requests.length}`;
    requests.push({ token, method });
    return `${method} ${path} HTTP/1.1\r\nHost: x\r\nX-Token: ${token}\r\n${cookieField}${fields}\r\n`;
  };
  return { name, server, steps: steps({ head }), requests };
}

function inTwo(text: string, at: number): Step[] {
  return [{ send: text.slice(0, at) }, ...rest, { send: text.slice(at) }];
}
