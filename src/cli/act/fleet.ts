import { exitCodes } from '../../errors.js';
import type { RolloutOptions } from '../../protocol/control-api.js';
import type { FleetHost, FleetStats, RolloutLine } from '../../protocol/fleet.js';
import { mebibytes, moment, span, type Terminal, table } from '../output.js';
import { type CommandExit, interruptedExit, type Session } from '../session.js';

/** `rom-agent status --fleet`: every host of the fleet, a line each. */
export async function fleetStatus({ client, terminal }: Session, json: boolean): Promise<CommandExit> {
  const stats = await client.fleet();
  if (json) terminal.printJson(stats, 'pretty');
  else terminal.print(fleetOverview(stats, terminal));
  return exitCodes.ok;
}

/** The fleet, for a person. */
export function fleetOverview(
  { name, host, redis, hosts, reloading }: FleetStats,
  terminal: Terminal,
): string {
  const { paint } = terminal;
  const lost = redis.lostForSeconds === null ? '' : ` for ${span(redis.lostForSeconds * 1_000)}`;
  const state = redis.connected ? paint('green', 'connected') : paint('red', `lost${lost}: this host alone`);
  const present = hosts.filter((each) => each.present).length;
  const head = table([
    ['fleet', `${name}, ${present} of ${hosts.length} hosts heard, asked ${host}`],
    ['redis', `${redis.address}, ${state}`],
    ...(reloading === null ? [] : [['reloads', reloading]]),
  ]);
  if (hosts.length === 0) return head;
  const heads = 'HOST STATE GEN WORKERS RESTARTS REQ/S IN-FLIGHT MEMORY UP LAST-RELOAD RELEASE'.split(' ');
  const rows = hosts.map((each) => row(each, terminal));
  return `${head}\n${table([heads.map((each) => paint('bold', each)), ...rows], { right: [2, 3, 4, 5, 6, 7, 8] })}`;
}

function row(each: FleetHost, { paint }: Terminal): readonly string[] {
  const { host, self, present, heardAgoMs, status, generation, ready, wanted, restarts } = each;
  const { requestsPerSecond, inFlight, rssBytes, uptimeSeconds, lastReload, release } = each;
  const away = `not heard for ${span(heardAgoMs)}`;
  return [
    `${host}${self ? '*' : ''}`,
    present ? paint(status === 'serving' ? 'green' : 'yellow', status) : paint('red', away),
    String(generation),
    `${ready}/${wanted}`,
    String(restarts),
    String(requestsPerSecond),
    String(inFlight),
    mebibytes(rssBytes),
    span(uptimeSeconds * 1_000),
    lastReload === null ? '-' : `${lastReload.verdict ?? 'under way'}, ${moment(lastReload.atMs)}`,
    release ?? 'the built-in app',
  ];
}

export interface RolloutFlags {
  readonly json?: boolean;
}

/** `rom-agent reload --fleet` and `rom-agent deploy --fleet`: a line a step. The exit status is the verdict. */
export async function rolloutCommand(
  { client, terminal, interrupted }: Session,
  options: RolloutOptions,
  { json = false }: RolloutFlags,
): Promise<CommandExit> {
  const show = (line: RolloutLine): void => {
    if (json) return terminal.printJson(line, 'line');
    const text = inWords(line, terminal);
    if (text !== null) terminal.print(`${text}\n`);
  };
  const signal = interrupted();
  const aborted = new Promise<null>((resolve) => {
    signal.addEventListener('abort', () => resolve(null), { once: true });
  });
  const end = await Promise.race([client.rollout(options, show), aborted]);
  if (end === null) {
    terminal.warn(
      `the ${options.kind} of the fleet continues in the daemon; rom-agent status --fleet shows the hosts`,
    );
    return interruptedExit;
  }
  return end.ok ? exitCodes.ok : exitCodes.appFailed;
}

function inWords(line: RolloutLine, { paint }: Terminal): string | null {
  switch (line.type) {
    case 'plan': {
      const away = line.away.length === 0 ? '' : `; not heard, and left out: ${line.away.join(', ')}`;
      return `hosts, in this order: ${line.hosts.join(', ')}${away}`;
    }
    case 'begins':
      return `${line.host} begins`;
    case 'ended':
      return `${line.host} ${paint(line.ok ? 'green' : 'red', line.message)}`;
    case 'over':
      return paint(line.ok ? 'green' : 'red', line.message);
  }
}
