import { copyOf } from './install.js';
import type { App, Launch, Peer } from './peers.js';
import type { Rounds, Subject } from './rounds.js';
import type { NodeBinary, Processes, Service } from './service.js';

/** What all measurements of a run share. */
export interface Run {
  readonly rounds: Rounds;
  readonly peers: readonly Peer[];
  /** The path of a binary by its major. */
  readonly nodes: ReadonlyMap<number, string>;
  readonly installed: string;
  readonly scratch: string;
  readonly say: (text: string) => void;
  /** Whether the time of the run is over: nothing more is begun. */
  readonly late: () => boolean;
}

/** A peer on one Node. */
export interface Contestant {
  readonly subject: Subject;
  readonly peer: Peer;
  readonly node: NodeBinary;
  readonly app: App;
}

/** A contestant that serves. */
export interface Running extends Contestant {
  readonly service: Service;
  /**
   * As they were at the start. Not asked for before each load: a look at all of /proc has a bearing on where the kernel
   * then runs whom.
   */
  readonly processes: Processes;
}

/** Who takes part, in the order of the tables. */
export function contestants(
  { peers, nodes }: Run,
  {
    app,
    workers = 2,
    majors = [...nodes.keys()],
  }: { app: App; workers?: number; majors?: readonly number[] },
): Contestant[] {
  return majors.flatMap((major) => {
    const path = nodes.get(major);
    if (path === undefined) return [];
    return peers.flatMap((peer) => {
      const node = copyOf(path, { major, peer: peer.name });
      if (peer.unfit({ app, node, workers }) !== null) return [];
      return [{ subject: { node: major, app, peer: peer.name }, peer, node, app }];
    });
  });
}

/** Null where it could not be started, which is said: what one peer cannot do leaves the others their figures. */
export async function startOne(
  { installed, scratch, say }: Run,
  { peer, node, app }: Contestant,
  more: Partial<Launch> = {},
): Promise<Service | null> {
  try {
    return await peer.start({ app, node, workers: 2, installed, scratch, ...more });
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    say(`${peer.name} on Node ${node.major} with ${app}: ${text.slice(0, 2_000)}`);
    return null;
  }
}

/** Each round begins with another one: what the machine does meanwhile hits all alike. */
export function rotated<T>(all: readonly T[], round: number): readonly T[] {
  const from = all.length === 0 ? 0 : round % all.length;
  return [...all.slice(from), ...all.slice(0, from)];
}

/** Stops them all, whatever happens. */
export async function stopAll(running: Iterable<{ readonly service: Service }>): Promise<void> {
  await Promise.all([...running].map(({ service }) => service.stop().catch(() => {})));
}

export function urlOf({ port, path }: Service): string {
  return `http://127.0.0.1:${port}${path}`;
}
