import { request } from 'node:http';
import { exitCodes, RomAgentError } from '../errors.js';
import { nameOfUnit, type ServiceNames } from './names.js';
import type { Address } from './prepare.js';
import { type HostSeam, textOf } from './world.js';

export interface PortInput {
  readonly names: ServiceNames;
  readonly seam: HostSeam;
  /** Whether systemd holds sockets for the service. */
  readonly socket: boolean;
}

/** Why the service could not listen, with a port that is free; null where it can, or does already. */
export async function portProblem(
  address: Address | null,
  { names, seam, socket }: PortInput,
): Promise<RomAgentError | null> {
  if (address === null || address.kind === 'path') return null;
  const { port, host } = address;
  const code = await seam.tryListen({ port, host });
  // Without rights a port below 1024 cannot be tried.
  if (code === null || code === 'EACCES') return null;
  if (code !== 'EADDRINUSE')
    return unavailable(
      `host: ${JSON.stringify(host)} cannot be listened on (${code}): expected an address of this host`,
    );
  const holder = seam.portHolder(port);
  const unit = holder === null ? null : unitOf(holder.pid, seam);
  if (unit === names.unit || (socket && (holder === null || holder.pid === 1))) return null;
  const running = (await seam.run('systemctl', ['is-active', names.unit]))?.trim() === 'active';
  // Without rights one does not see who listens.
  if (holder === null && running) return null;
  const service = unit === null ? null : (nameOfUnit(unit) ?? unit);
  const by =
    holder === null
      ? 'another process'
      : `${holder.name} (pid ${holder.pid}${service === null ? '' : `, the service ${service}`})`;
  const free = await firstFree(port, { host, seam });
  return unavailable(
    `port ${port} is taken by ${by}: name another one${free === null ? '' : `, such as --port ${free}`}`,
  );
}

async function firstFree(
  port: number,
  { host, seam }: { readonly host: string | null; readonly seam: HostSeam },
): Promise<number | null> {
  for (let other = port + 1; other <= Math.min(port + 20, 65_535); other++) {
    if ((await seam.tryListen({ port: other, host })) === null) return other;
  }
  return null;
}

/** The unit in the path of its cgroup. */
function unitOf(pid: number, seam: HostSeam): string | null {
  const cgroups = textOf(seam, `/proc/${pid}/cgroup`) ?? '';
  return /\/([^/\n]+\.service)(?:\/|$)/m.exec(cgroups)?.[1] ?? null;
}

function unavailable(message: string): RomAgentError {
  return new RomAgentError(message, { exitCode: exitCodes.addressInUse });
}

/** ms */
const patience = 10_000;

/** What a request for `/` is answered, in words; what is no HTTP, or no answer, is said too. */
export function knock(address: Address): Promise<string> {
  const where =
    address.kind === 'path'
      ? { socketPath: address.path }
      : { host: reachable(address.host), port: address.port };
  const name = address.kind === 'path' ? address.path : urlOf(address);
  return new Promise((resolve) => {
    const asked = request({ ...where, path: '/', timeout: patience, agent: false }, (answer) => {
      answer.resume();
      resolve(`${name} answers with status ${answer.statusCode}`);
    });
    asked.once('timeout', () => asked.destroy(new Error(`no answer within ${patience / 1000} s`)));
    asked.once('error', (error) => resolve(`${name} does not answer GET / over HTTP: ${error.message}`));
    asked.end();
  });
}

function urlOf({ host, port }: Extract<Address, { kind: 'tcp' }>): string {
  const name = host === null || host === '0.0.0.0' || host === '::' ? 'localhost' : host;
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}/`;
}

function reachable(host: string | null): string {
  return host === null || host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
}
