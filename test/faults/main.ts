import { cpus } from 'node:os';
import { boot } from '../systemd/boot.js';
import { Machine } from '../systemd/booted-machine.js';
import { causes } from './causes.js';
import { type Outcome, play } from './play.js';
import { installPm2, pm2 } from './pm2.js';
import { type Figure, replacement } from './replacement.js';
import { faultsIn, type Played, report } from './report.js';
import { romAgent } from './rom-agent.js';
import type { Scenario } from './scenario.js';
import { scenarios } from './scenarios.js';
import type { Subject } from './subject.js';

/** The part that is no scenario, for FAULTS_ONLY. */
const figures = 'replacement';

/** The exit status tells what rom-agent did; what others do is a figure. */
async function main(): Promise<void> {
  const names = wantedNames();
  const rounds = wantedRounds();
  const installed = await installPm2();
  const machine = new Machine(await boot());
  try {
    const subjects = [romAgent(machine), pm2(machine, installed)] as const;
    const played: Played[] = [];
    for (const scenario of scenarios.filter(({ name }) => names.includes(name))) {
      for (const subject of subjects) {
        if (subject === subjects[1] && scenario.withoutPm2 === true) continue;
        played.push(await rehearse(machine, { scenario, subject, rounds, first: subject === subjects[0] }));
      }
    }
    const times = names.includes(figures) ? await replacement(machine, subjects[1]) : [];
    tell(played, times);
    const faults = played.filter(({ who }) => who === subjects[0].name).flatMap(faultsIn);
    if (faults.length > 0) process.exitCode = 1;
  } finally {
    await machine.shutdown();
    installed.remove();
  }
}

interface Rehearsal {
  readonly scenario: Scenario;
  readonly subject: Subject;
  readonly rounds: number;
  /** rom-agent, of which more is expected. */
  readonly first: boolean;
}

async function rehearse(machine: Machine, { scenario, subject, rounds, first }: Rehearsal): Promise<Played> {
  const { romAgent: ours, pm2: theirs } = causes[scenario.name] ?? { romAgent: null, pm2: null };
  const expected = first ? ours : theirs;
  const outcomes: (Outcome | Error)[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const outcome = await play(machine, { scenario, subject, expected }).catch(asError);
    outcomes.push(outcome);
  }
  const played: Played = {
    title: scenario.title,
    who: subject.name,
    outcomes,
    unshaken: scenario.dies === 'nobody' && scenario.replaces !== true,
    causeExpected: expected !== null,
  };
  progress(scenario, played);
  return played;
}

function progress({ name }: Scenario, played: Played): void {
  const faults = faultsIn(played);
  process.stderr.write(`${name}, ${played.who}: ${faults.length === 0 ? 'well' : faults.join('; ')}\n`);
}

function tell(played: readonly Played[], times: readonly Figure[]): void {
  const [cpu] = cpus();
  process.stdout.write(`\nNode ${process.version}, ${cpus().length} CPUs (${cpu?.model ?? 'unknown'})\n\n`);
  process.stdout.write(`${report(played, times)}\n`);
}

function wantedRounds(): number {
  const text = process.env.FAULTS_ROUNDS || '1';
  const rounds = Number(text);
  if (Number.isInteger(rounds) && rounds > 0) return rounds;
  throw new Error(`FAULTS_ROUNDS: ${JSON.stringify(text)}; expected a whole number from 1`);
}

function wantedNames(): readonly string[] {
  const all = [...scenarios.map(({ name }) => name), figures];
  const only = process.env.FAULTS_ONLY?.split(',') ?? all;
  const unknown = only.find((name) => !all.includes(name));
  if (unknown === undefined) return only;
  throw new Error(`FAULTS_ONLY: ${JSON.stringify(unknown)}; expected some of ${all.join(', ')}`);
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

try {
  await main();
} catch (error) {
  process.stderr.write(`faults: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
