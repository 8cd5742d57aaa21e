import type { Properties } from './service-unit.js';

/** The socket unit as systemd has loaded it: systemd.socket(5). */
export interface SocketUnit {
  readonly name: string;
  readonly activeState: string;
  readonly unitFileState: string;
  /** As `systemctl show` writes them, without the kind: `[::]:3000`, `/run/rom-agent.sock`. */
  readonly listens: readonly string[];
  /** Those of it that are no stream. */
  readonly unserved: readonly string[];
  readonly accept: boolean;
  readonly outdated: boolean;
}

export const socketProperties = [
  ...['LoadState', 'ActiveState', 'UnitFileState', 'Listen', 'Accept', 'NeedDaemonReload'],
] as const;

export function parseSocket(name: string, properties: Properties): SocketUnit {
  const text = (key: string) => properties.get(key)?.[0] ?? '';
  // One line with all of them, or a line for each: it depends on the version.
  const listens = [...(properties.get('Listen') ?? []).join(' ').matchAll(/(\S+) \((\w+)\)/g)];
  return {
    name,
    activeState: text('ActiveState'),
    unitFileState: text('UnitFileState'),
    listens: listens.map(([, address = '']) => address),
    unserved: listens.filter(([, , kind]) => kind !== 'Stream').map(([found]) => found),
    accept: text('Accept') === 'yes',
    outdated: text('NeedDaemonReload') === 'yes',
  };
}

/** Its TCP ports. */
export function portsOf({ listens }: SocketUnit): readonly number[] {
  return listens
    .filter((address) => !address.startsWith('/'))
    .map((address) => Number(address.split(':').at(-1)));
}

/** Whether systemd holds the sockets, or will at the next boot. */
export function isInUse({ activeState, unitFileState }: SocketUnit): boolean {
  return activeState === 'active' || unitFileState.startsWith('enabled');
}
