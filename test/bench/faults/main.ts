import { cpus } from 'node:os';
import { boot } from '../../system/systemd/boot.js';
import { Machine } from '../../system/systemd/booted-machine.js';
import { causes, type Expected } from './causes.js';
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
  const installed = process.env.FAULTS_PM2 === '0' ? null : await installPm2();
  const machine = new Machine(await boot());
  try {
    const ours = romAgent(machine);
    const theirs = installed === null ? null : pm2(machine, installed);
    const played: Played[] = [];
    for (const scenario of scenarios.filter(({ name }) => names.includes(name))) {
      const { romAgent: own, pm2: other } = causes[scenario.name] ?? { romAgent: null, pm2: null };
      played.push(await rehearse(machine, { scenario, subject: ours, rounds, expected: own }));
      if (theirs === null || scenario.withoutPm2 === true) continue;
      played.push(await rehearse(machine, { scenario, subject: theirs, rounds, expected: other }));
    }
    const times = names.includes(figures) ? await replacement(machine, theirs) : [];
    tell(played, times);
    const faults = played.filter(({ who }) => who === ours.name).flatMap(faultsIn);
    const unmeasured = times.some(({ times: all }) => all instanceof Error);
    if (faults.length > 0 || unmeasured) process.exitCode = 1;
  } finally {
    await machine.shutdown();
    installed?.remove();
  }
}

interface Rehearsal {
  readonly scenario: Scenario;
  readonly subject: Subject;
  readonly rounds: number;
  readonly expected: Expected;
}

async function rehearse(
  machine: Machine,
  { scenario, subject, rounds, expected }: Rehearsal,
): Promise<Played> {
  const outcomes: (Outcome | Error)[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const outcome = await play(machine, { scenario, subject, expected }).catch(asError);
    outcomes.push(outcome);
    if (process.env.FAULTS_LOG === '1' && !(outcome instanceof Error)) process.stderr.write(outcome.log);
  }
  const played: Played = {
    title: scenario.title,
    who: subject.name,
    outcomes,
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
