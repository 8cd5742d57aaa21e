import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ClientGroup, type LoadReport, startLoad } from '../../support/load.js';
import { waitFor } from '../../support/wait.js';
import type { Machine } from '../../system/systemd/booted-machine.js';
import { type Expected, foundIn } from './causes.js';
import { type Gone, type Losses, parseOwners, sortOut } from './losses.js';
import type { Cast, Scenario, Scene } from './scenario.js';
import { place, type Running, type Subject, workers } from './subject.js';
import { type Seen, Witness } from './witness.js';

/** What came of one scenario at one service. */
export interface Outcome {
  readonly load: LoadReport;
  readonly losses: Losses;
  /** From the harm to the wanted number of workers that answer, ms; null: not in time. */
  readonly strongAfter: number | null;
  /** Somebody is gone, and is missed for a while. */
  readonly shaken: boolean;
  /** The longest time without any answer, ms. */
  readonly longestPause: number;
  /** What of the service is gone and was not to go, in words; null: nothing. */
  readonly collateral: string | null;
  readonly state: { readonly active: boolean; readonly restarts: number };
  /** What is missing of the cause in the log; null: nothing. */
  readonly missing: string | null;
  readonly log: string;
}

/** Half of them come on a connection of their own each time. */
const clients: readonly ClientGroup[] = [
  { kind: 'keep-alive', count: 12, pauseMs: 5 },
  { kind: 'per-connection', count: 12, pauseMs: 5 },
];
/** Answers before the harm, and after it. */
const around = 400;
/** A victim that still answers after so long has survived, ms. */
const afterlife = 1_000;
/** An entry may take a moment to the journal. */
const journalTime = 5_000;

export async function play(
  machine: Machine,
  { scenario, subject, expected }: { scenario: Scenario; subject: Subject; expected: Expected },
): Promise<Outcome> {
  await machine.must(['sh', '-c', `umount -q ${place}/* ; rm -rf ${place} && mkdir -m 1777 ${place}`]);
  await scenario.prepare?.(machine);
  const service = await subject.start(scenario.setup ?? {});
  try {
    return await underLoad(machine, { scenario, service, expected });
  } finally {
    await service.stop();
  }
}

interface Part {
  readonly scenario: Scenario;
  readonly service: Running;
  readonly expected: Expected;
}

async function underLoad(machine: Machine, { scenario, service, expected }: Part): Promise<Outcome> {
  const witness = new Witness();
  const load = startLoad({
    port: service.port,
    path: scenario.path ?? '/work?ms=10',
    clients: [...clients, ...(scenario.clients ?? [])],
    requestTimeout: scenario.requestTimeout ?? 20_000,
    maxMs: 5 * 60_000,
    maxRequests: Number.MAX_SAFE_INTEGER,
    watch: witness.watch,
  });
  const before = await load.reached(around, 30_000).then(() => service.cast());
  let begun = performance.now();
  const begins = () => {
    begun = performance.now();
    witness.forget();
  };
  const victims = new Set<number>();
  const scene: Scene = { machine, service, load, before, inside: new Set(), victims, begins };
  try {
    begins();
    await scenario.harm(scene);
    const strong = await strength(
      { patience: scenario.patience, victims, begun: () => begun },
      { witness, service },
    );
    // Where nothing recovers there is nothing to wait for.
    if (strong !== null) await load.reached(around, 15_000).catch(() => {});
    const longestPause = witness.longestPause();
    await scenario.heal?.(scene);
    const report = await load.stop();
    const gone = await whoIsGone(service, before);
    return {
      load: report,
      losses: sortOut(witness.lost, await ownersIn(machine), goneIn(scenario, { gone, scene })),
      strongAfter: strong === null ? null : strong - begun,
      shaken: gone.size > 0 && scenario.replaces !== 'reload',
      longestPause,
      collateral: collateral(scenario, { gone, before }),
      state: await service.state(),
      missing: await missingIn(service, expected),
      log: await service.log(),
    };
  } finally {
    await scenario.heal?.(scene);
    await load.stop();
  }
}

/** As many workers as are wanted have answered since and are ready; null: not in time. */
async function strength(
  { patience, victims, begun }: { patience: number; victims: ReadonlySet<number>; begun: () => number },
  { witness, service }: { witness: Witness; service: Running },
): Promise<number | null> {
  const counts = ({ pid, last }: Seen) => !victims.has(pid) || last > begun() + afterlife;
  const strong = async () => {
    if (witness.seen().filter(counts).length < workers) return null;
    const ready = new Set(await service.ready());
    const serving = witness.seen().filter((seen) => counts(seen) && ready.has(seen.pid));
    return serving[workers - 1]?.first ?? null;
  };
  return waitFor('the full strength', strong, { timeout: patience, interval: 50 }).catch(() => null);
}

async function whoIsGone({ cast }: Running, before: Cast): Promise<Set<number>> {
  const now = await cast().catch(() => null);
  const alive = new Set(now === null ? [] : pidsOf(now));
  return new Set(pidsOf(before).filter((pid) => !alive.has(pid)));
}

function goneIn({ dies }: Scenario, { gone, scene }: { gone: Set<number>; scene: Scene }): Gone {
  return {
    pids: new Set(dies === 'nobody' ? [] : [...gone, ...scene.victims]),
    ports: scene.inside,
    everybody: dies === 'everybody',
  };
}

/** A reload and a restart replace workers, and are not held against anybody: what counts is what was lost. */
function collateral(
  { dies, replaces }: Scenario,
  { gone, before }: { gone: ReadonlySet<number>; before: Cast },
): string | null {
  if (dies === 'everybody' || replaces !== undefined) return null;
  if (gone.has(before.master.pid)) return 'the master';
  const most = { nobody: 0, 'one worker': 1, 'the workers': workers }[dies];
  return gone.size > most ? `${gone.size} workers instead of ${most}` : null;
}

function pidsOf({ master, workers: all }: Cast): number[] {
  return [master, ...all].map(({ pid }) => pid);
}

async function ownersIn(machine: Machine) {
  return parseOwners(await readFile(join(machine.root, place, 'owners'), 'utf8').catch(() => ''));
}

async function missingIn(service: Running, expected: Expected): Promise<string | null> {
  const look = async () => foundIn(expected, { log: await service.log(), entries: await service.entries() });
  let seen: string | null = null;
  await waitFor('the cause', look, {
    timeout: journalTime,
    interval: 250,
    until: (missing) => {
      seen = missing;
      return missing === null;
    },
  }).catch(() => {});
  return seen;
}
