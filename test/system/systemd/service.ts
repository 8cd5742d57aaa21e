import { readFile } from 'node:fs/promises';
import { ask, freePort, type HttpAnswer } from '../../support/net.js';
import { waitFor } from '../../support/wait.js';
import { inside } from './boot.js';
import type { Machine, UnitProcess } from './booted-machine.js';
import type { JournalEntry } from './journal.js';
import { socketText, unitText } from './shipped-unit.js';

export interface ServiceOptions {
  /** Of the unit: rom-agent-NAME.service. */
  readonly name: string;
  /** A file of test/fixtures/systemd; without it the built-in app. */
  readonly app?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Lines of [Service] that come after the shipped ones. */
  readonly settings?: readonly string[];
  /** With it the shipped socket unit is there too, on the service's port, with these lines of [Socket] behind its own. */
  readonly socket?: readonly string[];
  /** The template instead: rom-agent@NAME.service, whose configuration is empty. */
  readonly isNamed?: boolean;
}

/** The shipped unit in the machine, with two workers on a free port. */
export class Service {
  readonly unit: string;
  readonly socketUnit: string;
  readonly port: number;
  readonly #machine: Machine;
  /** The name before each line in the journal. */
  readonly #identifier: string;

  constructor(machine: Machine, unit: string, port: number) {
    this.#machine = machine;
    this.unit = unit;
    this.socketUnit = socketOf(unit);
    this.port = port;
    this.#identifier = unit.startsWith('rom-agent@') ? unit.replace('.service', '') : 'rom-agent';
  }

  async start(): Promise<void> {
    const { code } = await this.systemctl('start');
    if (code === 0) return;
    const entries = await this.#machine.journal(this.unit);
    throw new Error(`${this.unit} did not start:\n${entries.map(({ message }) => message).join('\n')}`);
  }

  systemctl(verb: string) {
    return this.#machine.systemctl(verb, this.unit);
  }

  show<P extends string>(...properties: P[]): Promise<Record<P, string>> {
    return this.#machine.show(this.unit, properties);
  }

  becomes(property: string, value: string | RegExp, timeout = 120_000): Promise<string> {
    return this.#machine.waitForProperty({ unit: this.unit, property, value, timeout });
  }

  processes(): Promise<UnitProcess[]> {
    return this.#machine.pids(this.unit);
  }

  /** PIDs as inside; the master is the parent of them all. */
  async workers(): Promise<number[]> {
    const master = await this.master();
    return (await this.processes()).filter(({ parent }) => parent === master).map(({ pid }) => pid);
  }

  /** proc_pid_status(5) of each process. */
  async statuses(): Promise<string[]> {
    const processes = await this.processes();
    return Promise.all(processes.map(({ hostPid }) => readFile(`/proc/${hostPid}/status`, 'utf8')));
  }

  master(): Promise<number> {
    return this.#machine.mainPid(this.unit);
  }

  kill(pid: number, signal: NodeJS.Signals): Promise<boolean> {
    return this.#machine.kill(pid, signal);
  }

  get(path: string): Promise<HttpAnswer> {
    return ask({ port: this.port, path });
  }

  /** What the service itself wrote, of this priority and worse. */
  async log(priority = 'debug'): Promise<JournalEntry[]> {
    const entries = await this.#machine.journal(this.unit, { priority });
    return entries.filter(({ identifier }) => identifier === this.#identifier);
  }

  /** Warnings and worse, but for what only says that the machine is busy with other things. */
  async warnings(): Promise<JournalEntry[]> {
    const entries = await this.log('warning');
    return entries.filter(({ message }) => !ofTheMachine.test(message));
  }

  /** What systemd says about it in the journal. */
  async systemdSaid(pattern: RegExp): Promise<JournalEntry[]> {
    const entries = await this.#machine.journal(this.unit);
    return entries.filter(
      ({ identifier, message }) => identifier !== this.#identifier && pattern.test(message),
    );
  }

  /** Waits for an entry of the service's that matches. */
  logged(pattern: RegExp, timeout = 120_000): Promise<JournalEntry> {
    const look = async () => (await this.log()).find(({ message }) => pattern.test(message));
    return waitFor(`an entry like ${pattern}`, look, { timeout, interval: 100 }) as Promise<JournalEntry>;
  }
}

const ofTheMachine = /^master event loop stalled for|^worker \d+ (is degraded|stalled): /;

/** Installs the unit; it is removed when the test is over. */
export async function service(
  machine: Machine,
  t: { after(hook: () => Promise<void>): void },
  { name, app, env = {}, settings = [], socket, isNamed = false }: ServiceOptions,
): Promise<Service> {
  const port = await freePort();
  const unit = isNamed ? `rom-agent@${name}.service` : `rom-agent-${name}.service`;
  const shipped = isNamed ? 'rom-agent@.service' : 'rom-agent.service';
  const variables = {
    PORT: String(port),
    HOST: '127.0.0.1',
    WORKERS: '2',
    ...(app === undefined ? {} : { ROM_AGENT_APP: `${inside.repo}/test/fixtures/systemd/${app}` }),
    ...env,
  };
  const environment = Object.entries(variables).map(([key, value]) => `Environment="${key}=${value}"`);
  await machine.unit(
    isNamed ? shipped : unit,
    unitText({ unit: shipped, node: inside.node, libdir: inside.repo }),
  );
  if (isNamed) await machine.writeFile(`/etc/rom-agent/${name}.toml`, '');
  await machine.unit(`${unit}.d/test.conf`, ['[Service]', ...environment, ...settings, ''].join('\n'));
  if (socket !== undefined) await installSocket({ machine, t, name: socketOf(unit), port, settings: socket });
  if (isNamed) t.after(() => machine.removeUnit(shipped));
  t.after(() => machine.removeUnit(unit));
  return new Service(machine, unit, port);
}

function socketOf(unit: string): string {
  return unit.replace(/service$/, 'socket');
}

interface SocketSetup {
  readonly machine: Machine;
  readonly t: { after(hook: () => Promise<void>): void };
  readonly name: string;
  readonly port: number;
  readonly settings: readonly string[];
}

async function installSocket({ machine, t, name, port, settings }: SocketSetup): Promise<void> {
  await machine.unit(name, socketText());
  const dropIn = ['[Socket]', 'ListenStream=', `ListenStream=127.0.0.1:${port}`, ...settings, ''];
  await machine.unit(`${name}.d/test.conf`, dropIn.join('\n'));
  // Before its service is removed, which a connection would start again.
  t.after(() => machine.removeUnit(name));
}
