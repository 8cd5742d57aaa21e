import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemInput } from '../../config/system.js';
import { type ExitCode, exitCodes, RomAgentError } from '../../errors.js';
import { tcpListeners } from '../../processes.js';
import { count } from '../../protocol/words.js';
import { applyService, lastLines } from '../../setup/apply.js';
import { changesOf } from '../../setup/changes.js';
import { loadUnits, settingsOf } from '../../setup/find.js';
import { namesOf, reloadUnits, unitDirectory } from '../../setup/names.js';
import type { Ecosystem, Pm2App } from '../../setup/pm2/apps.js';
import {
  type Conversion,
  convert,
  type Kind,
  kindOf,
  knowsProcesses,
  type Row,
  type Seen,
  serviceName,
} from '../../setup/pm2/convert.js';
import { endLeftBehind } from '../../setup/pm2/left-behind.js';
import { executeFile, readEcosystem } from '../../setup/pm2/read.js';
import { connectPm2, findPm2, lookAt, type Pm2Client, type Pm2Daemon } from '../../setup/pm2/running.js';
import { giveBack, type Passage, type PassageSeam, takeOver } from '../../setup/pm2/take-over.js';
import { tryService } from '../../setup/pm2/trial.js';
import { type Prepared, prepareService } from '../../setup/prepare.js';
import { systemSeam } from '../../setup/system.js';
import { findProgram } from '../../setup/templates.js';
import type { SetupSeam } from '../../setup/world.js';
import { openTerminal, plain, span, type Terminal } from '../output.js';
import { documentOf, type Import, nextWith, nextWithout, type Ready, reportOf } from './import-report.js';
import { type Asking, agreed, asking, checkHost } from './install.js';

export interface ImportFlags {
  readonly env?: string;
  readonly only?: readonly string[];
  readonly server?: readonly string[];
  readonly process?: readonly string[];
  readonly socket?: boolean;
  readonly takeOver?: boolean;
  readonly giveBack?: readonly string[];
  readonly trial?: boolean;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly json?: boolean;
}

/** `rom-agent import` on this host: the apps of a file, or of the PM2 that runs. */
export async function importCommand(file: string | undefined, flags: ImportFlags): Promise<ExitCode> {
  const input = systemInput({});
  const seam = systemSeam(input.cwd);
  const daemon = await pm2Of(seam);
  const pm2 = daemon === null ? null : await connectTo(daemon, file !== undefined);
  try {
    const importing: Importing = { ...asking(), seam, input, flags, daemon, pm2, terminal: openTerminal() };
    if (flags.giveBack !== undefined) return await backToPm2(flags.giveBack, importing);
    const ecosystem = await appsFrom(file, importing);
    return await importApps(ecosystem, importing);
  } finally {
    pm2?.close();
  }
}

interface Importing extends Asking {
  readonly terminal: Pick<Terminal, 'print' | 'printJson' | 'paint' | 'warn'>;
  readonly seam: SetupSeam;
  readonly input: ReturnType<typeof systemInput>;
  readonly flags: ImportFlags;
  readonly daemon: Pm2Daemon | null;
  readonly pm2: Pm2Client | null;
}

/** The PM2 of who called sudo, rather than of root. */
async function pm2Of(seam: SetupSeam): Promise<Pm2Daemon | null> {
  const caller = process.env.SUDO_USER;
  const entry = caller === undefined ? null : await seam.run('getent', ['passwd', caller]);
  return findPm2(process.env, entry?.split(':')[5] ?? homedir());
}

/** Beside a file PM2 is only asked what it runs; without one it is needed. */
async function connectTo(daemon: Pm2Daemon, isOptional: boolean): Promise<Pm2Client | null> {
  try {
    return await connectPm2(daemon);
  } catch (error) {
    if (isOptional && error instanceof RomAgentError) return null;
    throw error;
  }
}

async function appsFrom(file: string | undefined, { seam, pm2, terminal }: Importing): Promise<Ecosystem> {
  const running = pm2 === null ? null : await pm2.list();
  if (file !== undefined) {
    const found = await readEcosystem(file, fileSeam(seam));
    const pidsOf = (name: string) => running?.apps.find((app) => app.name === name)?.pids ?? null;
    return { ...found, apps: found.apps.map((app) => ({ ...app, pids: pidsOf(app.name) ?? app.pids })) };
  }
  if (running === null)
    throw new RomAgentError(
      'no PM2 runs here: name a file, such as ecosystem.config.js or ~/.pm2/dump.pm2, or set PM2_HOME to the home of the PM2 that is meant',
      { exitCode: exitCodes.usage },
    );
  if (running.apps.length === 0) terminal.warn('PM2 runs no apps');
  return running;
}

function fileSeam(seam: SetupSeam) {
  return {
    readFile: seam.readFile,
    stat: (path: string) => {
      const stats = seam.stat(path);
      if (stats === null) throw new Error(`ENOENT: no such file, ${path}`);
      return stats;
    },
    uid: seam.uid,
    execute: executeFile,
  };
}

async function importApps(ecosystem: Ecosystem, importing: Importing): Promise<ExitCode> {
  const { flags, terminal, seam } = importing;
  const apps = ecosystem.apps.filter(({ name }) => flags.only === undefined || flags.only.includes(name));
  checkNames(apps, ecosystem.apps, flags);
  const imports: Import[] = [];
  for (const app of apps) imports.push(await importOf(app, { apps: ecosystem.apps, importing }));
  if (flags.json === true) terminal.printJson(documentOf(imports, ecosystem), 'pretty');
  else terminal.print(reportOf(imports, { ecosystem, terminal }));
  const ready = imports.flatMap(({ prepared, ...others }) =>
    prepared === null ? [] : [{ ...others, prepared }],
  );
  if (flags.dryRun === true) return exitCodes.ok;
  if (ready.length === 0) return exitCodes.config;
  checkHost(seam, 'import');
  if (flags.takeOver === true && seam.platform !== 'linux')
    throw new RomAgentError(
      '--take-over needs systemd: without it import writes the services, and says how to start each',
      { exitCode: exitCodes.usage },
    );
  const what = flags.takeOver === true ? 'Write this, and take over' : 'Write';
  const names = ready.map(({ prepared }) => prepared.names.short).join(', ');
  if (!(await agreed(`${what} ${names}?`, { ...importing, ...flags }))) return exitCodes.tryAgain;
  for (const each of ready) await write(each, importing);
  if (flags.takeOver !== true) {
    terminal.print(`${nextWithout(ready).join('\n')}\n`);
    return exitCodes.ok;
  }
  return takeAllOver(ready, importing);
}

/** @throws RomAgentError exit 64 for a name that no app has, or one that two services would have */
function checkNames(apps: readonly Pm2App[], all: readonly Pm2App[], flags: ImportFlags): void {
  const known = new Set(all.map(({ name }) => name));
  for (const [flag, names = []] of Object.entries({
    '--only': flags.only,
    '--server': flags.server,
    '--process': flags.process,
  })) {
    const unknown = names.find((name) => !known.has(name));
    if (unknown !== undefined)
      throw usage(
        `${flag}: there is no app ${JSON.stringify(unknown)}; expected one of ${[...known].join(', ')}`,
      );
  }
  const seen = new Map<string, string>();
  for (const { name } of apps) {
    const own = serviceName(name);
    const other = seen.get(own);
    if (other !== undefined || own === '')
      throw usage(
        `the apps ${JSON.stringify(other ?? name)} and ${JSON.stringify(name)} would be one service, ${JSON.stringify(own)}: rename one, or choose with --only`,
      );
    seen.set(own, name);
  }
}

async function importOf(
  app: Pm2App,
  { apps, importing }: { apps: readonly Pm2App[]; importing: Importing },
): Promise<Import> {
  const { seam, input, flags, daemon } = importing;
  const { node } = await findProgram(seam);
  const isCluster =
    kindOf(app, { ports: null }) === 'server' && /^cluster/.test(String(app.config.exec_mode ?? 'cluster'));
  const known = new Set(apps.filter((other) => other !== app).flatMap(portOf));
  const seen = daemon === null ? { ports: null, user: null } : lookAt(app, { isCluster, known, daemon });
  const kind = await kindFor(app, { seen, importing });
  const conversion = convert(app, {
    ...{ kind, seen, node, readFile: input.readFile },
    environment: flags.env ?? null,
    socket: flags.socket === true,
  });
  const { request } = conversion;
  if (request === null) return { conversion, seen, prepared: null };
  if (kind === 'process' && !knowsProcesses())
    return {
      conversion: refusal(conversion, 'this rom-agent serves no app without a listener'),
      seen,
      prepared: null,
    };
  try {
    // PM2 has the port until the service takes it over.
    const prepared = await prepareService(request, { seam: { ...seam, tryListen: async () => null }, input });
    return { conversion, seen, prepared: withTimer(prepared, { conversion, seam }) };
  } catch (error) {
    if (!(error instanceof RomAgentError)) throw error;
    return { conversion: refusal(conversion, error.message), seen, prepared: null };
  }
}

function refusal(conversion: Conversion, says: string): Conversion {
  const row: Row = { key: '', value: '', verdict: 'refused', says };
  return { ...conversion, rows: [...conversion.rows, row] };
}

function portOf({ config }: Pm2App): readonly number[] {
  const env = config.env as Readonly<Record<string, unknown>> | undefined;
  const port = Number(config.port ?? env?.PORT);
  return Number.isInteger(port) ? [port] : [];
}

/** @throws RomAgentError exit 64 where it cannot be told and nobody is there to ask */
async function kindFor(
  app: Pm2App,
  { seen, importing }: { seen: Seen; importing: Importing },
): Promise<Kind> {
  const { flags, ask } = importing;
  if (flags.server?.includes(app.name) === true) return 'server';
  if (flags.process?.includes(app.name) === true) return 'process';
  const known = kindOf(app, seen);
  if (known !== null) return known;
  const answer = ask === null ? '' : await ask(`Does ${plain(app.name)} listen on a port? [y/n] `);
  if (/^y(es)?$/i.test(answer.trim())) return 'server';
  if (/^no?$/i.test(answer.trim())) return 'process';
  throw usage(
    `${JSON.stringify(app.name)} does not say whether it listens on a port, and PM2 does not run it: add --server ${app.name} or --process ${app.name}`,
  );
}

/** The timer of a cron_restart is written, and removed, with the service. */
function withTimer(
  prepared: Prepared,
  { conversion: { timer }, seam }: { conversion: Conversion; seam: SetupSeam },
): Prepared {
  if (timer === null) return prepared;
  const plan = { ...prepared.plan, files: [...prepared.plan.files, ...timer.files] };
  return { ...prepared, plan, changes: changesOf(plan, { name: prepared.request.name, seam }) };
}

/** The files only: what runs stays as it is. */
async function write({ prepared }: Ready, { seam, terminal }: Importing): Promise<void> {
  const reloadFiles = seam.platform === 'linux' ? [['systemctl', 'daemon-reload']] : [];
  const steps = { commands: reloadFiles, undoBefore: [], undoAfter: reloadFiles, effect: 'none' as const };
  // launchd loads a job when it is told to, which is later.
  const { kept } = await applyService(
    { ...prepared, steps },
    seam.platform === 'darwin' ? { ...seam, ask: async () => ({ state: 'runs', pid: 0 }) as never } : seam,
  );
  for (const path of kept) terminal.print(`kept: what was there before is in ${path}\n`);
}

async function takeAllOver(ready: readonly Ready[], importing: Importing): Promise<ExitCode> {
  const { terminal, flags } = importing;
  if (flags.trial !== false) for (const each of ready) await tryFirst(each, importing);
  const seam = passageSeam(importing);
  const done: string[] = [];
  for (const each of ready) {
    const { app, name } = each.conversion;
    const passed = await takeOver(passageOf(each, flags), seam);
    if (!passed.ok) {
      const log = await lastLines(each.prepared.names, importing.seam);
      const stands = passed.back ? 'PM2 runs it as before' : 'it does not run under PM2 either';
      throw new RomAgentError(
        `${plain(name)} was not taken over, ${stands}: ${plain(passed.why)}${log === '' ? '' : `\n${plain(log)}`}${done.length === 0 ? '' : `\nTaken over before it: ${done.join(', ')}`}`,
        { exitCode: exitCodes.tryAgain },
      );
    }
    done.push(name);
    const gap = passed.gap === null ? '' : `, ${span(passed.gap)} after the port was free`;
    terminal.print(`${plain(name)}: rom-agent runs it${gap}; in PM2 ${plain(app.name)} is stopped\n`);
    if (passed.left > 0)
      terminal.warn(
        `PM2's daemon keeps ${count(passed.left, 'connection')} of it, which it never answers or closes: their clients wait for their own time limits (with the program ss of iproute2, import ends them)`,
      );
  }
  terminal.print(`${nextWith(ready).join('\n')}\n`);
  return exitCodes.ok;
}

/** @throws RomAgentError exit 75 where the app does not start; nothing is stopped then */
async function tryFirst({ prepared, conversion }: Ready, { seam, terminal }: Importing): Promise<void> {
  const { names, request, program, address } = prepared;
  const result = await tryService({
    config: names.config,
    environment: request.environment,
    as: await identityOf(request.user, seam),
    main: join(program.libdir, 'dist', 'cli', 'main.js'),
    boot: conversion.kind === 'server' && address?.kind === 'tcp',
  });
  if (!result.ok)
    throw new RomAgentError(
      `${request.name} does not start, so nothing was stopped; ${names.config} is written:\n${plain(result.why)}`,
      { exitCode: exitCodes.tryAgain },
    );
  terminal.print(`${request.name}: ${result.note ?? 'a worker of it started beside PM2'}\n`);
}

/** Whom the trial runs as: nobody, where systemd makes an account. */
async function identityOf(user: string | null, seam: SetupSeam): Promise<{ uid: number; gid: number }> {
  const of = async (flag: string, name: string) => Number((await seam.run('id', [flag, name])) ?? nobody);
  return { uid: await of('-u', user ?? 'nobody'), gid: await of('-g', user ?? 'nobody') };
}

const nobody = 65_534;

function passageOf({ conversion, prepared, seen }: Ready, { trial }: ImportFlags): Passage {
  const { names, request, address } = prepared;
  const own = address?.kind === 'tcp' ? [address.port] : [];
  return {
    app: conversion.app.name,
    units: [...(request.socket ? [names.socketUnit] : []), names.unit],
    timer: conversion.timer?.unit ?? null,
    ports: [...new Set([...own, ...(seen.ports ?? [])])],
    beside: trial !== false,
  };
}

function passageSeam({ pm2, daemon, seam }: Pick<Importing, 'pm2' | 'daemon' | 'seam'>): PassageSeam {
  return {
    pm2,
    systemctl: (...args) => seam.execute(['systemctl', ...args]),
    endLeftBehind: async (ports) =>
      daemon === null ? 0 : (await endLeftBehind({ pid: daemon.pid, ports }, seam.execute)).length,
    statusOf: async (unit) =>
      (await seam.execute(['systemctl', 'show', '--property=StatusText', '--value', unit])).output,
    allowWait: async (unit, allowed) => {
      const path = `/run/systemd/system/${unit}.d/50-take-over.conf`;
      if (allowed) seam.write({ path, content: waitingStart, mode: 0o644 });
      else seam.remove(path);
      await seam.execute(['systemctl', 'daemon-reload']);
    },
    listeners: (port) => {
      if (seam.platform !== 'linux') return null;
      const all = [...tcpListeners('/proc/net')].filter((each) => each.port === port);
      return all.map(({ inode }) => inode).join();
    },
    sleep: (ms) => sleep(ms),
    clock: () => performance.now(),
  };
}

/** For the one start that takes over: how long PM2 may need to stop an app. */
const waitingStart = `# Written by rom-agent import for one start.
[Service]
Environment=ROM_AGENT_LISTEN_WAIT=5m
`;

/** `--give-back NAME...`: the services stop, and PM2 starts the apps again. */
async function backToPm2(names: readonly string[], importing: Importing): Promise<ExitCode> {
  const { pm2, seam, terminal } = importing;
  checkHost(seam, `import --give-back ${names.join(' ')}`);
  if (pm2 === null)
    throw new RomAgentError('no PM2 runs here: pm2 resurrect starts it with its list', {
      exitCode: exitCodes.usage,
    });
  const { apps } = await pm2.list();
  for (const name of names) {
    const app = apps.find((each) => each.name === name || serviceName(each.name) === name);
    if (app === undefined)
      throw usage(
        `PM2 has no app ${JSON.stringify(name)}; expected one of ${apps.map((each) => each.name).join(', ')}`,
      );
    const passage = await passageBack(serviceName(app.name), { app: app.name, importing });
    const passed = await giveBack(passage, passageSeam(importing));
    if (!passed.ok)
      throw new RomAgentError(
        `${plain(name)} was not given back, ${passed.back ? 'and rom-agent runs it' : 'and nobody runs it'}: ${plain(passed.why)}`,
        { exitCode: exitCodes.tryAgain },
      );
    terminal.print(
      `${plain(name)}: PM2 runs it${passed.gap === null ? '' : `, ${span(passed.gap)} after the port was free`}; rom-agent uninstall ${serviceName(app.name)} removes the service\n`,
    );
  }
  return exitCodes.ok;
}

/** Without the import's plan: what is there under the name. */
async function passageBack(
  name: string,
  { app, importing: { seam, input } }: { app: string; importing: Importing },
): Promise<Passage> {
  const { unit, socketUnit, socketDropIn } = namesOf(name, 'linux');
  const { timer } = reloadUnits(name);
  const hasSocket = seam.stat(dirname(socketDropIn)) !== null;
  const service = { name, unit, isInUse: true };
  const loaded = (await loadUnits([service], seam)).get(unit) ?? null;
  const { config } = await settingsOf(service, { loaded, own: input });
  return {
    app,
    units: [...(hasSocket ? [socketUnit] : []), unit],
    timer: seam.stat(`${unitDirectory}/${timer}`) === null ? null : timer,
    ports: config.kind === 'process' || config.host?.startsWith('/') ? [] : [config.port],
    beside: false,
  };
}

function usage(message: string): RomAgentError {
  return new RomAgentError(message, { exitCode: exitCodes.usage });
}
