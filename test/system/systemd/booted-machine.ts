import { cp, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { processes } from '../../support/proc.js';
import { signalPid } from '../../support/process.js';
import { waitFor } from '../../support/wait.js';
import { type Booted, enter, innerPid } from './boot.js';
import type { CommandOptions, CommandResult } from './command.js';
import { type JournalEntry, type JournalQuery, journalArguments, parseJournal } from './journal.js';

export interface UnitProcess {
  /** As processes in the machine see it: MainPID, the journal's _PID. */
  readonly pid: number;
  /** As this side sees it: for process.kill(), /proc. */
  readonly hostPid: number;
  readonly parent: number;
  readonly name: string;
  /** R, S, T (stopped), Z ...: proc_pid_stat(5). */
  readonly state: string;
}

/**
 * A booted systemd. Its disk is an overlay that is forgotten; /tmp and /run are its own; loopback is the host's,
 * so load comes from outside. The repository is also at `inside.repo`, node at `inside.node`.
 */
export class Machine {
  readonly #booted: Booted;

  constructor(booted: Booted) {
    this.#booted = booted;
  }

  /** Its disk, as this side sees it. */
  get root(): string {
    return `/proc/${this.#booted.pid}/root`;
  }

  /** Runs a program as root inside. Its exit status is in the result; rejects after 2 minutes unless told. */
  run(argv: readonly string[], options?: CommandOptions): Promise<CommandResult> {
    return enter(this.#booted.pid, argv, options);
  }

  /** The standard output of a program that has to succeed; else an Error with what it printed. */
  async must(argv: readonly string[], options?: CommandOptions): Promise<string> {
    const { code, stdout, stderr } = await this.run(argv, options);
    if (code !== 0) throw new Error(`${argv.join(' ')}: exit ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  systemctl(...args: string[]): Promise<CommandResult> {
    return this.run(['systemctl', '--no-pager', ...args], { timeout: 120_000 });
  }

  /** Makes the folders too. `mode` in octal digits. */
  async writeFile(path: string, text: string, mode = '644'): Promise<void> {
    const script = 'mkdir -p "$(dirname "$1")" && cat > "$1" && chmod "$2" "$1"';
    await this.must(['sh', '-c', script, 'sh', path, mode], { input: text });
  }

  /** Copies a folder of this side, with what is in it, for everybody to read. Once: it stays as long as the machine. */
  async receive(from: string, to: string): Promise<void> {
    if ((await this.run(['test', '-d', to])).code === 0) return;
    await cp(from, join(this.root, to), { recursive: true, verbatimSymlinks: true });
    await this.must(['chmod', '-R', 'a+rX', to]);
  }

  /** Writes /etc/systemd/system/NAME and reloads systemd. `rom-agent.service.d/x.conf` is a name too. */
  async unit(name: string, text: string): Promise<void> {
    await this.writeFile(`/etc/systemd/system/${name}`, text);
    await this.must(['systemctl', 'daemon-reload']);
  }

  /** Stops the unit, kills what is left of it and forgets it with its drop-ins. Its journal stays. */
  async removeUnit(name: string): Promise<void> {
    await this.systemctl('kill', '--signal=KILL', name);
    await this.systemctl('stop', name);
    await this.must(['rm', '-rf', `/etc/systemd/system/${name}`, `/etc/systemd/system/${name}.d`]);
    await this.must(['systemctl', 'daemon-reload']);
    await this.systemctl('reset-failed', name);
  }

  /** Properties of a unit by name: systemctl(1), show. */
  async show<P extends string>(unit: string, properties: readonly P[]): Promise<Record<P, string>> {
    const text = await this.must(['systemctl', 'show', unit, '-p', properties.join(',')]);
    const pairs = text.split('\n').flatMap((line) => {
      const equals = line.indexOf('=');
      return equals === -1 ? [] : [[line.slice(0, equals), line.slice(equals + 1)] as const];
    });
    return { ...blank(properties), ...Object.fromEntries(pairs) };
  }

  /** Waits until a property has a value, or one that matches; `timeout` ms, a minute unless told. */
  async waitForProperty({ unit, property, value, timeout }: PropertyWait): Promise<string> {
    const fits = (seen: string) => (typeof value === 'string' ? seen === value : value.test(seen));
    const probe = async () => (await this.show(unit, [property]))[property] ?? '';
    return waitFor(`${property} of ${unit} to be ${value}`, probe, {
      until: fits,
      ...(timeout === undefined ? {} : { timeout }),
    });
  }

  /** The unit's journal, all that is written so far. */
  async journal(unit: string, query: JournalQuery = {}): Promise<JournalEntry[]> {
    await this.must(['journalctl', '--sync']);
    return parseJournal(await this.must(journalArguments(unit, query)));
  }

  /** Everything in the unit's cgroup, zombies left out, the oldest first. Empty when there is none. */
  async pids(unit: string): Promise<UnitProcess[]> {
    const own = await this.#processes();
    const found = await Promise.all(
      own.map(async (info) => ((await inUnit(info.hostPid, unit)) ? [info] : [])),
    );
    return found.flat().sort((a, b) => a.pid - b.pid);
  }

  /** Sends a signal to one process by the PID it has inside. False when it is gone. */
  async kill(pid: number, signal: NodeJS.Signals): Promise<boolean> {
    const target = (await this.#processes()).find((info) => info.pid === pid);
    return target !== undefined && signalPid(target.hostPid, signal);
  }

  /** MainPID, 0 when the unit does not run. */
  async mainPid(unit: string): Promise<number> {
    return Number((await this.show(unit, ['MainPID'])).MainPID);
  }

  shutdown(): Promise<void> {
    return this.#booted.shutdown();
  }

  async #processes(): Promise<UnitProcess[]> {
    const namespace = await readlink(`/proc/${this.#booted.pid}/ns/pid`);
    const alive = (await processes()).filter(({ state }) => state !== 'Z');
    const own = await Promise.all(
      alive.map(async ({ pid: hostPid, parent, name, state }) => {
        if ((await readlink(`/proc/${hostPid}/ns/pid`).catch(() => '')) !== namespace) return [];
        const pid = innerPid(await readFile(`/proc/${hostPid}/status`, 'utf8').catch(() => ''));
        return pid === 0 ? [] : [{ pid, hostPid, parent, name, state }];
      }),
    );
    const all = own.flat();
    const inner = new Map(all.map((info) => [info.hostPid, info.pid]));
    return all.map((info) => ({ ...info, parent: inner.get(info.parent) ?? 0 }));
  }
}

export interface PropertyWait {
  readonly unit: string;
  readonly property: string;
  readonly value: string | RegExp;
  readonly timeout?: number;
}

async function inUnit(hostPid: number, unit: string): Promise<boolean> {
  const cgroups = await readFile(`/proc/${hostPid}/cgroup`, 'utf8').catch(() => '');
  return cgroups.split('\n').some((line) => `${line}/`.includes(`/${unit}/`));
}

function blank<P extends string>(properties: readonly P[]): Record<P, string> {
  return Object.fromEntries(properties.map((name) => [name, ''])) as Record<P, string>;
}
