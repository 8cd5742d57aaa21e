/** The servers of the app that is played to: see test/fixtures/fuzz/app.cjs. */
export const serverNames = [
  'patient',
  'listeners',
  'timeouts',
  'late',
  'limit',
  'few',
  'fronted',
  'detour',
  'tls',
  'unix',
] as const;
export type ServerName = (typeof serverNames)[number];

/** What a client does, one after the other. */
export type Step =
  /** Bytes, as latin1. */
  | { readonly send: string }
  /** Waits until so many answers have come in all, 1xx not counted. */
  | { readonly answers: number }
  /** Waits for the server to close. */
  | { readonly close: true }
  /** Time in which a connection may move, ms. What is compared must not depend on how long it takes. */
  | { readonly pause: number }
  /** Reads nothing for so long, ms. */
  | { readonly slowRead: number }
  /** Sends FIN, and reads on. */
  | { readonly end: true }
  /** Sends RST. */
  | { readonly abort: true };

export interface Request {
  /** Stands in its head as `X-Token`. */
  readonly token: string;
  readonly method: string;
}

/** One connection of one client. */
export interface Script {
  /** How it came about. */
  readonly name: string;
  readonly server: ServerName;
  readonly steps: readonly Step[];
  /** In the order in which they are sent. */
  readonly requests: readonly Request[];
  /**
   * So many answers come whatever happens. What comes after them may be lost, since the client goes on sending to a
   * server that may have closed, or resets the connection: TCP then throws away what is on its way. Absent: all of them.
   */
  readonly sure?: number;
  /** A request that the same client has sent on another connection, which it keeps. */
  readonly beside?: string;
}

/** So many bytes arrive as one: they fit into one segment on the loopback, and into one read of a server. */
export const onePiece = 8_000;

/** Stands in a script for what is known when it is played only; each has a width, since bytes are counted. */
export const placeholders = {
  /** Tells the tokens of one play from those of every other. */
  play: 'p000000',
  /** The value of the sticky cookie. */
  worker: 'W.K',
} as const;

/** What the servers "fronted" and "detour" expect of a client before anything else. */
export const clientLine = 'PROXY alice\r\n';

export const cookieField = `Cookie: a=b; rom-agent=${placeholders.worker}\r\n`;

/** The same script with something else in the place of a text, also where the text lies in two pieces. */
export function rewrite(script: Script, text: string, instead: string): Script {
  if (text.length !== instead.length) throw new Error(`${instead} is not as long as ${text}`);
  const sends = script.steps.flatMap((step) => ('send' in step ? [step.send] : []));
  const whole = sends.join('').replaceAll(text, instead);
  let at = 0;
  const steps = script.steps.map((step) => {
    if (!('send' in step)) return step;
    const send = whole.slice(at, at + step.send.length);
    at += step.send.length;
    return { send };
  });
  const requests = script.requests.map(({ token, method }) => ({
    token: token.replaceAll(text, instead),
    method,
  }));
  const { beside } = script;
  const more = beside === undefined ? {} : { beside: beside.replaceAll(text, instead) };
  return { ...script, steps, requests, ...more };
}

/** The script as it is written into a report, and read from a file: FUZZ_SCRIPT. */
export function toJson(script: Script): string {
  const { steps, requests, ...more } = script;
  const lines = steps.map((step) => `  ${JSON.stringify(step)}`).join(',\n');
  return `{"steps": [\n${lines}\n ],\n "requests": ${JSON.stringify(requests)},\n ${JSON.stringify(more).slice(1)}`;
}

export function fromJson(text: string): Script {
  return JSON.parse(text) as Script;
}
