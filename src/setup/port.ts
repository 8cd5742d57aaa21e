import { request } from 'node:http';
import { unitInCgroup } from '../config/cgroup.js';
import type { LoadInput } from '../config/load.js';
import { exitCodes, RomAgentError } from '../errors.js';
import type { Config } from '../settings/config.js';
import { findServices, loadUnits, settingsOf } from './find.js';
import { nameOfUnit, plainName, type ServiceNames } from './names.js';
import type { Address } from './prepare.js';
import type { RunningState } from './steps.js';
import { type HostSeam, textOf } from './world.js';

export interface PortInput {
  readonly names: ServiceNames;
  readonly seam: HostSeam;
  readonly state: Pick<RunningState, 'service' | 'socket'>;
}

/** Why the service could not listen, with a port that is free; null where it can, or does already. */
export async function portProblem(
  address: Address | null,
  { names, seam, state }: PortInput,
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
  if (unit === names.unit || (state.socket === 'active' && (holder === null || holder.pid === 1)))
    return null;
  // Without rights one does not see who listens.
  if (holder === null && state.service === 'active') return null;
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

/** Which other services are set to the same address and do not run: only one of them can at a time. A sentence each. */
export async function sharedAddresses(
  address: Address | null,
  {
    names,
    seam,
    input,
  }: { readonly names: ServiceNames; readonly seam: HostSeam; readonly input: LoadInput },
): Promise<readonly string[]> {
  if (address === null) return [];
  // A package brings the plain unit with a configuration, whether anybody wants it or not.
  const others = findServices(seam).filter(
    ({ unit, name, isInUse }) => unit !== names.unit && (isInUse || name !== plainName),
  );
  const units = await loadUnits(others, seam);
  const warnings: string[] = [];
  for (const service of others) {
    const loaded = units.get(service.unit) ?? null;
    if (loaded === null && seam.platform === 'linux') continue;
    const { config } = await settingsOf(service, { loaded, own: input });
    if (config.kind === 'process' || !isSameAddress(address, config)) continue;
    const where = address.kind === 'path' ? address.path : `port ${address.port}`;
    warnings.push(
      `The service ${service.name} is set to ${where} too: only one of the two can run at a time. Give one another port, or rom-agent uninstall ${service.name}.`,
    );
  }
  return warnings;
}

function isSameAddress(address: Address, { host, port }: Pick<Config, 'host' | 'port'>): boolean {
  if (address.kind === 'path') return address.path === host;
  if (host?.startsWith('/') || port !== address.port || port === 0) return false;
  return isEveryAddress(host) || isEveryAddress(address.host) || host === address.host;
}

function isEveryAddress(host: string | null): boolean {
  return host === null || host === '0.0.0.0' || host === '::';
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
  return unitInCgroup(textOf(seam, `/proc/${pid}/cgroup`) ?? '').unit;
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
  const name = host === null || isEveryAddress(host) ? 'localhost' : host;
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}/`;
}

function reachable(host: string | null): string {
  return host === null || isEveryAddress(host) ? '127.0.0.1' : host;
}
