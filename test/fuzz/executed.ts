import { readFileSync } from 'node:fs';

/** What an app has executed of one play. */
export interface Executed {
  /** The requests that it was given, in this order: token, method and path. */
  readonly begun: readonly string[];
  /** The bodies that it has read to their ends: token, length and hash. */
  readonly read: readonly string[];
}

/** What test/fixtures/fuzz/app.cjs has written: of one process, or of all workers that there were. */
export interface AppLog {
  readonly plays: ReadonlyMap<string, Executed>;
  /** Requests that belong to no play. */
  readonly strays: readonly string[];
  /** Errors that nobody has caught. */
  readonly thrown: readonly string[];
  /** The processes that have come to listen, oldest first. */
  readonly pids: readonly number[];
}

export const nothing: Executed = { begun: [], read: [] };

export function readAppLog(file: string): AppLog {
  return parseAppLog(readFileSync(file, 'utf8'));
}

export function parseAppLog(text: string): AppLog {
  const plays = new Map<string, { begun: string[]; read: string[] }>();
  const strays: string[] = [];
  const thrown: string[] = [];
  const pids: number[] = [];
  for (const line of text.split('\n').filter((each) => each !== '')) {
    const [kind, subject = ''] = line.split(' ', 2);
    const rest = line.slice(line.indexOf(' ') + 1);
    if (kind === 'listening') pids.push(Number(subject));
    else if (kind === 'thrown') thrown.push(rest);
    else {
      const play = /^(p\d{6})[rxb]\d+$/.exec(subject)?.[1];
      if (play === undefined) {
        strays.push(line);
        continue;
      }
      const known = plays.get(play) ?? { begun: [], read: [] };
      plays.set(play, known);
      known[kind === 'read' ? 'read' : 'begun'].push(rest);
    }
  }
  return { plays, strays, thrown, pids };
}
