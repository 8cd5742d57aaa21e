import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cutAnswers } from './answers.js';
import { play } from './client.js';
import {
  type Judge,
  type Outcome,
  same,
  sameUnlessKilled,
  sameWhileDraining,
  sameWithCookie,
} from './compare.js';
import { type Disturbance, kills, reloads, undisturbed } from './disturbance.js';
import { type AppLog, nothing } from './executed.js';
import { placeholders, rewrite, type Script } from './script.js';
import { type Mode, type ServiceOptions, type Services, startServices, workers } from './services.js';

export interface RoundOptions extends Omit<ServiceOptions, 'folder'> {
  /** So many scripts are played at once. */
  readonly lanes?: number;
}

/** Something that a client of the daemon sees, or its app does, and that is otherwise under node itself. */
export interface Finding {
  /** As it was played; null where it belongs to none. */
  readonly script: Script | null;
  readonly what: string;
}

export interface RoundResult {
  readonly findings: readonly Finding[];
  readonly scripts: number;
  readonly answers: number;
  /** From one answer to the next on one connection. */
  readonly moves: number;
  /** Kills or reloads. */
  readonly disturbances: number;
}

/** Until it says null; it is told how many kills or reloads there were. */
export type NextScript = (disturbances: number) => Script | null;

interface Played {
  readonly id: string;
  readonly script: Script;
  readonly plain: Outcome['play'];
  readonly agent: Outcome['play'];
}

/** Starts both services, plays scripts to both, ends both, and compares. */
export async function playRound(next: NextScript, options: RoundOptions): Promise<RoundResult> {
  const folder = mkdtempSync(join(tmpdir(), 'rom-agent-fuzz-'));
  try {
    const services = await startServices({ ...options, folder });
    const { plain, agent } = services;
    try {
      const disturbance = disturb(options.mode, services);
      const played = await playAll(next, { ...options, services, disturbance });
      const [plainLog, agentLog] = await Promise.all([plain.stop(), agent.stop()]);
      const judged = { judge: judgeOf(options.mode, disturbance), plain: plainLog, agent: agentLog };
      const findings = [
        ...played.flatMap((one) => compare(one, judged)),
        ...unattributed(plainLog, agentLog),
      ];
      const counts = { scripts: played.length, disturbances: disturbance.times.length };
      return { findings, ...counts, ...tally(played) };
    } finally {
      for (const { daemon } of [plain, agent]) daemon.killGroup('SIGKILL');
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Playing extends RoundOptions {
  readonly services: Services;
  readonly disturbance: Disturbance;
}

async function playAll(
  next: NextScript,
  { services, mode, disturbance, lanes = 24 }: Playing,
): Promise<Played[]> {
  const played: Played[] = [];
  let begun = 0;
  const take = (): Script | null => (disturbance.hasFailed() ? null : next(disturbance.times.length));
  const lane = async (): Promise<void> => {
    for (let script = take(); script !== null; script = take())
      played.push(await playToBoth(script, { services, mode, number: ++begun }));
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  await disturbance.stop();
  return played;
}

/** A list of scripts, each played so often. */
export function each(scripts: readonly Script[], times = 1): NextScript {
  const left = Array.from({ length: times }, () => scripts).flat();
  return () => left.shift() ?? null;
}

/** One script, `most` times at most, until there were so many kills or reloads. */
export function untilDisturbed(script: Script, disturbances: number, most: number): NextScript {
  let left = most;
  return (happened) => (happened < disturbances && left-- > 0 ? script : null);
}

async function playToBoth(
  template: Script,
  { services, mode, number }: { services: Services; mode: Mode; number: number },
): Promise<Played> {
  const { plain, agent, cookies } = services;
  const id = `p${String(number).padStart(6, '0')}`;
  const cookie = cookies[number % Math.max(1, cookies.length)] ?? placeholders.worker;
  const named = rewrite(template, placeholders.play, id);
  const script = rewrite(named, placeholders.worker, cookie);
  const from = mode === 'sticky-address' ? addressOf(number) : undefined;
  const [a, b] = await Promise.all([play(script, plain.target, from), play(script, agent.target, from)]);
  return { id, script, plain: a, agent: b };
}

/** Linux has the whole network on its loopback interface; elsewhere there is one client. */
function addressOf(number: number): string {
  return process.platform === 'linux' ? `127.0.0.${2 + (number % 40)}` : '127.0.0.1';
}

function disturb(mode: Mode, { agent }: Services): Disturbance {
  if (mode === 'reload') return reloads(agent.control);
  return mode === 'kill' ? kills(agent, workers) : undisturbed;
}

function judgeOf(mode: Mode, { times }: Disturbance): Judge {
  if (mode === 'reload') return sameWhileDraining;
  if (mode === 'sticky-cookie') return sameWithCookie;
  return mode === 'kill' ? sameUnlessKilled(times) : same;
}

function compare(
  { id, script, ...plays }: Played,
  { judge, plain, agent }: { judge: Judge; plain: AppLog; agent: AppLog },
): Finding[] {
  const what = judge({
    script,
    plain: { play: plays.plain, executed: plain.plays.get(id) ?? nothing },
    agent: { play: plays.agent, executed: agent.plays.get(id) ?? nothing },
  });
  return what === null
    ? []
    : [{ script: rewrite(script, id, placeholders.play), what: what.replaceAll(id, placeholders.play) }];
}

/** Requests of no play, which somebody has made of others' bytes, and errors that only the hosted app has met. */
function unattributed(plain: AppLog, agent: AppLog): Finding[] {
  const strays = agent.strays.filter((line) => !plain.strays.includes(line));
  const thrown = plain.thrown.length === 0 ? agent.thrown : [];
  return [
    ...strays.map((line) => ({ script: null, what: `executed, and belongs to no script: ${line}` })),
    ...thrown.map((stack) => ({ script: null, what: `thrown in the app: ${stack}` })),
  ];
}

function tally(played: readonly Played[]): { answers: number; moves: number } {
  let answers = 0;
  let moves = 0;
  for (const { script, agent } of played) {
    const pids = cutAnswers(agent.bytes, script.requests).answers.flatMap(({ pid }) => pid ?? []);
    answers += pids.length;
    moves += pids.filter((pid, place) => place > 0 && pid !== pids[place - 1]).length;
  }
  return { answers, moves };
}
