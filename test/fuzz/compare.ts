import { type Answer, cutAnswers, withoutPersistence } from './answers.js';
import type { Play } from './client.js';
import type { Executed } from './executed.js';
import { onePiece, type Script } from './script.js';

/** One script, played to one service. */
export interface Outcome {
  readonly play: Play;
  readonly executed: Executed;
}

export interface Pair {
  readonly script: Script;
  readonly plain: Outcome;
  readonly agent: Outcome;
}

/** What is different, in words; null: nothing that may not be. */
export type Judge = (pair: Pair) => string | null;

/** Byte for byte, apart from what the script itself leaves to chance. */
export const same: Judge = (pair) => {
  const { script, plain, agent } = pair;
  if (wasLate(pair)) return null;
  if (script.sure !== undefined) return compatible(pair, script.sure);
  const [should, is] = [textOf(pair, 'plain'), textOf(pair, 'agent')];
  if (should !== is) return firstDifference(should, is);
  return differentEnd(pair) ?? differentExecution(plain.executed, agent.executed);
};

/**
 * While a worker drains, which is how it ends in a reload, two things may differ, and with each of them what follows
 * in the script does not happen:
 * - an answer says `Connection: close`, and those to requests that the client sent later do not come (RFC 9112 9.6);
 * - a connection on which nothing is owed is closed, and a request that crosses with the close is not executed;
 * Nothing else: what has been executed is answered and whole, and what came in one piece with a request that is
 * answered is answered too.
 */
export const sameWhileDraining: Judge = (pair) => {
  const { script, plain, agent } = pair;
  if (wasLate(pair)) return null;
  const should = cutAnswers(plain.play.bytes, script.requests);
  const is = cutAnswers(agent.play.bytes, script.requests);
  const wrong =
    (script.sure === undefined
      ? (differentAnswer(should.answers, is.answers) ?? notBegunBy(plain.executed, agent.executed))
      : differentAsFarAsBothGo(pair)) ??
    executedBehindClose(script, { should: should.answers, is: is.answers, executed: agent.executed });
  if (wrong !== null) return wrong;
  const sameRest = withoutPersistence(should.rest) === withoutPersistence(is.rest);
  const isWhole = is.answers.length === should.answers.length && sameRest;
  // It may be closed where it would have stayed, and not the other way round.
  if (isWhole) return agent.play.end === 'open' ? differentEnd(pair) : null;
  if (script.sure !== undefined && finals(is.answers) >= script.sure) return null;
  if (is.rest !== '' && !sameRest) return `cut inside of an answer: ${quote(is.rest)}`;
  if (agent.play.end === 'open')
    return `${finals(is.answers)} of ${finals(should.answers)} answers, and no end`;
  const answered = finals(is.answers);
  if (is.answers.at(-1)?.closes === true) return lostBehind(script, answered);
  const owed = script.requests[answered]?.token;
  return owed !== undefined && agent.executed.begun.some((line) => line.startsWith(`${owed} `))
    ? `${owed} was executed, and is not answered: the connection ends (${agent.play.end})`
    : null;
};

/** Who waits for a cookie does so for two seconds: see restLimit in src/worker/transfer/read-head.ts. */
const latestCookie = 1_000;

/** A head that comes too slowly is given to any worker, whose answer says `close` where it should have been another. */
export const sameWithCookie: Judge = (pair) => (pair.agent.play.headTook > latestCookie ? null : same(pair));

/** When workers were killed, ms of performance.now(). */
export type Kills = readonly number[];

/**
 * A killed worker cuts what it was about: where one was killed in the life of the connection, a prefix of what should
 * be is all that there may be; else it has to be whole. `kills`: when workers were killed, ms of performance.now().
 */
export function sameUnlessKilled(kills: readonly number[]): Judge {
  return (pair) => {
    const { plain, agent, script } = pair;
    const { begunAt, endedAt } = agent.play;
    const wasKilled = kills.some((at) => at >= begunAt && at <= endedAt);
    if (agent.play.end === 'open' || !wasKilled || wasLate(pair)) return same(pair);
    const should = cutAnswers(plain.play.bytes, script.requests);
    const is = cutAnswers(agent.play.bytes, script.requests);
    const whole = is.answers.at(-1)?.untilClose === true ? is.answers.slice(0, -1) : is.answers;
    const begun = is.answers.slice(whole.length).map(({ text }) => text);
    const cut = [...begun, wholeLines(is.rest)].join('');
    const all = [...should.answers.slice(whole.length).map(({ text }) => text), should.rest].join('');
    const wrong = differentAnswer(should.answers, whole) ?? notBegunBy(plain.executed, agent.executed);
    return wrong ?? (all.startsWith(cut) ? null : firstDifference(all, cut));
  };
}

function textOf({ script, ...pair }: Pair, side: 'plain' | 'agent'): string {
  const { answers, rest } = cutAnswers(pair[side].play.bytes, script.requests);
  return answers.map(({ text }) => text).join('') + rest;
}

/** As far as both go they are the same, and they go as far as they must. */
function compatible(pair: Pair, sure: number): string | null {
  const wrong = differentAsFarAsBothGo(pair);
  if (wrong !== null) return wrong;
  const [should, is] = answersOf(pair).map(finals) as [number, number];
  const least = Math.min(sure, should);
  return is < least ? `${is} answers of ${least}` : null;
}

/** Where the client goes at a moment that is left to chance, one of the two may have got further. */
function differentAsFarAsBothGo(pair: Pair): string | null {
  const [should, is] = answersOf(pair);
  const both = Math.min(should.length, is.length);
  const [plain, agent] = [pair.plain.executed, pair.agent.executed];
  return (
    differentAnswer(should.slice(0, both), is.slice(0, both)) ??
    unsent(pair.script, plain, agent) ??
    reordered(plain, agent)
  );
}

function answersOf({ script, plain, agent }: Pair): [should: Answer[], is: Answer[]] {
  return [plain, agent].map(({ play }) => cutAnswers(play.bytes, script.requests).answers) as [
    Answer[],
    Answer[],
  ];
}

/** What nobody has sent as a request, and only the daemon has taken for one. */
function unsent({ requests }: Script, should: Executed, is: Executed): string | null {
  const sent = (line: string): boolean => requests.some(({ token }) => line.startsWith(`${token} `));
  const wrong = is.begun.find((line) => !sent(line) && !should.begun.includes(line));
  return wrong === undefined ? null : `executed ${wrong}, which is no request`;
}

/** As far as both go they have executed the same. */
function reordered(should: Executed, is: Executed): string | null {
  const both = Math.min(should.begun.length, is.begun.length);
  const [a, b] = [should, is].map(({ begun }) => list(begun.slice(0, both)));
  return a === b ? null : `executed ${b}, expected ${a}`;
}

function differentAnswer(should: readonly Answer[], is: readonly Answer[]): string | null {
  for (const [place, { text }] of is.entries()) {
    const other = should[place];
    if (other === undefined) return `an answer too many: ${quote(text)}`;
    const [a, b] = [withoutPersistence(other.text), withoutPersistence(text)];
    if (a !== b) return `answer ${place}: ${firstDifference(a, b)}`;
  }
  return null;
}

function differentEnd({ plain, agent }: Pair): string | null {
  const closed = ({ end }: Play): boolean => end === 'fin' || end === 'reset';
  return closed(plain.play) === closed(agent.play)
    ? null
    : `the end is ${agent.play.end}, not ${plain.play.end}`;
}

function differentExecution(should: Executed, is: Executed): string | null {
  const same = list(should.begun) === list(is.begun) && list(sorted(should.read)) === list(sorted(is.read));
  return same
    ? null
    : `executed ${list([...is.begun, ...is.read])} instead of ${list([...should.begun, ...should.read])}`;
}

/** What was executed here and not there, or in another order. */
function notBegunBy(should: Executed, is: Executed): string | null {
  const wrong = is.begun.findIndex((line, place) => line !== should.begun[place]);
  return wrong === -1
    ? null
    : `executed ${is.begun[wrong]}, expected ${should.begun[wrong] ?? 'nothing more'}`;
}

function wasLate({ plain, agent }: Pair): boolean {
  return plain.play.wasLate || agent.play.wasLate;
}

/** A server executes nothing behind an answer that says `close` (RFC 9112 9.6); its own limits and errors aside. */
function executedBehindClose(
  { requests }: Script,
  { should, is, executed }: { should: readonly Answer[]; is: readonly Answer[]; executed: Executed },
): string | null {
  const at = is.findIndex((answer, place) => answer.closes && should[place]?.closes === false);
  if (at === -1) return null;
  const behind = requests[finals(is.slice(0, at + 1))]?.token;
  return behind !== undefined && executed.begun.some((line) => line.startsWith(`${behind} `))
    ? `${behind} was executed behind an answer with "Connection: close"`
    : null;
}

/** Whether a request that came in one piece with the last one that was answered is lost. */
function lostBehind({ steps, requests }: Script, answered: number): string | null {
  const [last, next] = [requests[answered - 1], requests[answered]];
  if (last === undefined || next === undefined) return null;
  const holds = (text: string, token: string): boolean => text.includes(`X-Token: ${token}\r\n`);
  const at = steps.findIndex((step) => 'send' in step && holds(step.send, next.token));
  const [step, after] = [steps[at], steps[at + 1]];
  if (step === undefined || !('send' in step) || step.send.length > onePiece) return null;
  const isWhole = after === undefined || 'answers' in after || 'end' in after;
  if (!isWhole || !holds(step.send, last.token)) return null;
  return `${last.token} is answered with "Connection: close", and ${next.token}, which came in one piece with it, is lost`;
}

function finals(answers: readonly Answer[]): number {
  return answers.filter(({ isFinal }) => isFinal).length;
}

function wholeLines(text: string): string {
  return text.slice(0, text.lastIndexOf('\n') + 1);
}

function sorted(lines: readonly string[]): string[] {
  return [...lines].sort();
}

function list(lines: readonly string[]): string {
  return lines.length === 0 ? 'nothing' : lines.join(', ');
}

function firstDifference(should: string, is: string): string {
  let at = 0;
  while (at < Math.min(should.length, is.length) && should[at] === is[at]) at++;
  const from = Math.max(0, at - 60);
  return `at ${at}: expected ${quote(should.slice(from))}, got ${quote(is.slice(from))}`;
}

function quote(text: string): string {
  return text.length > 200 ? `${JSON.stringify(text.slice(0, 200))}...` : JSON.stringify(text);
}
