import { makeDirectory } from '../files.js';
import { build } from '../protocol/build.js';
import type { Why, WhyLine, WhyQuery } from '../protocol/why.js';
import type { Recorder } from '../record/recorder.js';
import type { Turn } from '../record/turn.js';
import type { ServiceManager } from '../service-manager/service-manager.js';
import type { Config } from '../settings/config.js';
import type { Where } from './mailbox.js';

/** The record of decisions, which begins with the master's first turn, though its code is loaded once there is time. */
export interface MasterRecord {
  heard(turn: Turn): void;
  /** Something that the core knows nothing of. */
  add(line: WhyLine): void;
  /** Loads what writes it. */
  begin(): void;
  why(query: WhyQuery): Promise<Why>;
  /** Resolves once everything is written, or cannot be, or takes too long. */
  settled(): Promise<void>;
}

export interface RecordSeam {
  readonly config: Pick<Config, 'stateDir' | 'record'>;
  readonly version: string;
  readonly serviceManager: Pick<ServiceManager, 'kind'>;
  readonly now: () => number;
  readonly after: (delay: number, callback: () => void) => () => void;
  readonly onProblem: (message: string, error: unknown) => void;
}

/** How long the end of the master waits for the disk, ms. */
const patienceAtEnd = 1_000;
/** Turns that wait for the code; a start that goes on for so long without it is not recorded. */
const mostWaiting = 100_000;
const mebibyte = 2 ** 20;

export function openRecord(seam: RecordSeam): MasterRecord {
  const { config, after, onProblem } = seam;
  if (config.record.size === 0) return off;
  let waiting: ((recorder: Recorder) => void)[] = [];
  let recorder: Recorder | null = null;
  let loading: Promise<Recorder | null> | null = null;
  const load = async (): Promise<Recorder | null> => {
    try {
      recorder = await makeRecorder(seam);
      for (const say of waiting.splice(0)) say(recorder);
      return recorder;
    } catch (error) {
      onProblem('no record of decisions is kept', error);
      return null;
    }
  };
  const loaded = (): Promise<Recorder | null> => {
    loading ??= load();
    return loading;
  };
  const tell = (say: (recorder: Recorder) => void): void => {
    if (recorder !== null) say(recorder);
    else if (waiting.length < mostWaiting) waiting.push(say);
    else waiting = [];
  };
  return {
    heard: (turn) => (recorder === null ? tell((each) => each.record(turn)) : recorder.record(turn)),
    add: (line) => tell((each) => each.add(line)),
    begin: () => void loaded(),
    why: async (query) => {
      const there = await loaded();
      return there === null
        ? { lines: [], problem: 'no record could be kept: the log says why' }
        : there.why(query);
    },
    settled: () =>
      new Promise((resolve) => {
        const cancel = after(patienceAtEnd, resolve);
        void loaded()
          .then((there) => there?.settled())
          .finally(() => {
            cancel();
            resolve();
          });
      }),
  };
}

export function bugLine(error: unknown, { event, effect }: Where): WhyLine {
  return {
    at: new Date().toISOString(),
    worker: null,
    pid: process.pid,
    generation: null,
    kind: 'service',
    text: `a bug in the master, at ${effect ?? event}: it drains the workers, then ends`,
    cause: error instanceof Error ? error.message : String(error),
    advice: 'the log has the stack; please report it with the record: rom-agent replay',
  };
}

async function makeRecorder({
  config,
  version,
  serviceManager,
  now,
  onProblem,
}: RecordSeam): Promise<Recorder> {
  const { createRecorder } = await import('../record/recorder.js');
  const { kind } = serviceManager;
  return createRecorder({
    stateDir: config.stateDir,
    size: config.record.size * mebibyte,
    run: { version, build, node: process.version, pid: process.pid },
    startedBy: kind === 'none' ? 'started by hand, or by what is no service manager' : `started by ${kind}`,
    now,
    clock: Date.now,
    makeDirectory: (path) => makeDirectory(path, 0o750),
    soon: (callback) => void setImmediate(callback),
    onProblem,
  });
}

const off: MasterRecord = {
  heard: () => {},
  add: () => {},
  begin: () => {},
  why: async () => ({ lines: [], problem: 'no record is kept: record.size is 0' }),
  settled: async () => {},
};
