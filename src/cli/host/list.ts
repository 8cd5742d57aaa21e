import { systemInput } from '../../config/system.js';
import { connectControl } from '../../control/client.js';
import { type ExitCode, exitCodes } from '../../errors.js';
import { type Listed, listServices } from '../../setup/list.js';
import { systemSeam } from '../../setup/system.js';
import { type Colour, mebibytes, openTerminal, plain, span, type Terminal, table } from '../output.js';

/** A daemon that is well answers within milliseconds. */
const patience = 3_000;

/** `rom-agent list`: every service of this host. */
export async function listCommand({ json = false }: { readonly json?: boolean }): Promise<ExitCode> {
  const input = systemInput({});
  const terminal = openTerminal();
  const status = (path: string) => connectControl({ path, timeout: patience }).status();
  const monotonic = () => Number(process.hrtime.bigint() / 1_000_000n);
  const services = await listServices({ ...systemSeam(input.cwd), status, monotonic }, input);
  if (json) terminal.printJson(services, 'pretty');
  else terminal.print(listText(plain(services), terminal));
  return exitCodes.ok;
}

const heads = ['NAME', 'STATE', 'LISTENS', 'WORKERS', 'MEMORY', 'RESTARTS', 'UPTIME', 'APP'];

export function listText(services: readonly Listed[], { paint }: Pick<Terminal, 'paint'>): string {
  if (services.length === 0) return 'no services: rom-agent install APP --name NAME makes one\n';
  const rows = services.map((service) => rowOf(service, paint));
  const text = table([heads.map((head) => paint('dim', head)), ...rows], { right: [3, 4, 5] });
  return `${text}${silenceText(services)}`;
}

const colours: Readonly<Record<string, Colour>> = {
  ...{ serving: 'green', running: 'green', failed: 'red', restarting: 'red' },
  ...{ starting: 'yellow', stopping: 'yellow' },
};

function rowOf(service: Listed, paint: Terminal['paint']): readonly string[] {
  const { name, state, listens, workers, memoryBytes, restarts, uptimeSeconds, app } = service;
  const colour = colours[state];
  // Of the service and of its workers, as both are somebody's fault.
  const count = restarts.workers === null ? restarts.service : (restarts.service ?? 0) + restarts.workers;
  return [
    name,
    colour === undefined ? state : paint(colour, state),
    listens.join(' ') || '-',
    workers === null ? '-' : `${workers.ready}/${workers.wanted}`,
    memoryBytes === null ? '-' : mebibytes(memoryBytes),
    count === null ? '-' : String(count),
    uptimeSeconds === null ? '-' : span(uptimeSeconds * 1000),
    app ?? 'built-in',
  ];
}

function silenceText(services: readonly Listed[]): string {
  const of = (why: string) => services.filter(({ silent }) => silent === why).map(({ name }) => name);
  const [forbidden, mute] = [of('no permission'), of('no answer')];
  return [
    ...(forbidden.length === 0
      ? []
      : [
          `no permission for the control socket of ${forbidden.join(', ')}: sudo rom-agent list shows its workers`,
        ]),
    ...(mute.length === 0 ? [] : [`no answer at the control socket of ${mute.join(', ')}`]),
  ]
    .map((line) => `${line}\n`)
    .join('');
}
