import { Argument, Command } from 'commander';
import { configFile, defaultOf, flagOf, keys, settingOf } from '../settings/settings.js';
import { printError } from './ending.js';
import { jobsOptions } from './jobs-options.js';
import { onReaderGone, whenPrinted, writeError, writeOut } from './output.js';
import { addQueues } from './queues-command.js';
import { addRehearse } from './rehearse-command.js';
import type { CommandExit, Session } from './session.js';
import { version } from './version.js';

export interface ProgramSeam {
  readonly exit: (code: number) => void;
  /** The word behind the program's name. With `serve` the options of other commands are left out. */
  readonly called?: string | undefined;
  /** What stands behind `--`: the app's arguments. */
  readonly appArguments?: readonly string[] | undefined;
}

/** The commands. Each is imported only when it is called for, since `serve` is on the way to readiness. */
export function createProgram({ exit, called, appArguments }: ProgramSeam): Command {
  const withSettings = (command: Command, without: readonly string[] = []): Command =>
    called === 'serve' && command.name() !== called ? command : addSettings(command, without);
  const given = (app: string | undefined, flags: Record<string, unknown>): Record<string, unknown> => ({
    ...flags,
    ...(app === undefined ? {} : { app }),
    ...(appArguments === undefined ? {} : { args: appArguments }),
  });
  const program = new Command('rom-agent')
    .description('Runs a Node.js web service on every core, as a native service of systemd or launchd.')
    .version(version, '-v, --version')
    .exitOverride()
    .configureOutput({ writeOut: print, writeErr: printError })
    .showHelpAfterError('(rom-agent --help lists the commands)');

  withSettings(program.command('serve').argument('[app]', "the app's module (default: the built-in app)"))
    .description('serve an app with a cluster of workers until SIGTERM; arguments for the app follow --')
    .showHelpAfterError(
      '(see rom-agent serve --help; arguments for the app follow --: rom-agent serve next -- start)',
    )
    .option(
      '--watch',
      'for development: one worker, started anew when a module of the app changes, the configuration file or .env',
    )
    .action(async (app: string | undefined, { watch, ...flags }: Record<string, unknown>) => {
      if (watch === true) {
        const { watchCommand } = await import('./watch.js');
        return exit(await watchCommand(given(app, flags)));
      }
      const { serveCommand } = await import('./serve.js');
      exit(await serveCommand(given(app, flags)));
    });

  withSettings(program.command('check').argument('[app]', "the app's module"))
    .description('print the effective configuration and where each value comes from, or every error in it')
    .option(nameFlag, `${nameHelp.replace(/ \(.*/, '')}: its settings instead of those of this shell`)
    .option('--changed', 'only the settings that differ from their defaults')
    .option('--json', 'print JSON')
    .action(async (app: string | undefined, flags: Record<string, unknown>) => {
      const { checkCommand } = await import('./config.js');
      const { text, errors, exitCode } = await checkCommand(given(app, flags));
      print(text);
      writeError(errors);
      process.exitCode = exitCode;
    });

  withSettings(program.command('doctor').argument('[app]', "the app's module"))
    .description(
      'check the machine, the unit and the configuration, and say what to change (exit status 78: a problem)',
    )
    .option(nameFlag, nameHelp)
    .option('--unit <name>', 'its unit; "none": what this shell would start (default: rom-agent.service)')
    .option('--all', 'show checks that passed, too')
    .option('--json', 'print JSON')
    .action(async (app: string | undefined, flags: Record<string, unknown>) => {
      const { doctorCommand } = await import('./doctor.js');
      process.exitCode = await doctorCommand(given(app, flags));
    });

  addRehearse(program, { given, exit });
  addSetupCommands(program, { given: appArguments, withSettings });

  addControlCommands(program, {
    open: async (flags) => (await import('./session.js')).openSession(flags),
    // A connection that is still open must not keep the process; the callback comes once the text is out.
    finish: (exitCode) => whenPrinted(() => exit(exitCode)),
  });

  program
    .command('replay')
    .argument('[file]', 'a record (default: that of the service)')
    .description(
      'run the record of a service through the decisions of this version, and say where they differ (exit status 70: they do)',
    )
    .option('--why', 'print what was decided then, too')
    .option('--json', 'print JSON')
    .option(nameFlag, nameHelp)
    .option(`${configFile.flag} <file>`, 'configuration file that names the state directory')
    .action(async (file: string | undefined, flags: Record<string, unknown>) => {
      process.exitCode = await (await import('./replay.js')).replayCommand(file, flags);
    });

  program
    .command('init')
    .description('write a configuration with comments, rom-agent.toml, for the app in the current directory')
    .option('--stdout', 'print it instead')
    .action(async (flags: { stdout?: boolean }) => {
      const { initCommand } = await import('./init.js');
      process.exitCode = initCommand(flags);
    });

  program
    .command('completion')
    .description('print the completion of a shell')
    .addArgument(new Argument('<shell>', 'the shell').choices(shells))
    .action(async (shell: string) => {
      const { completionFor } = await import('./completion.js');
      print(completionFor(shell, program));
    });
  return program;
}

interface SetupInput {
  readonly given: readonly string[] | undefined;
  readonly withSettings: (command: Command, without: readonly string[]) => Command;
}

/** The commands that make services of this host, and show them. */
function addSetupCommands(program: Command, { given, withSettings }: SetupInput): void {
  withSettings(
    program
      .command('install')
      .argument('[app]', "the app's module, or the folder of its package (default: the current folder)")
      .description(
        'make a service of an app: show what it takes, ask, write, start, wait until it is ready (root; --dry-run for all)',
      )
      .option('--name <service>', 'the name of the service (default: from the package.json of the app)')
      .option('--user <name>', 'the account that it runs as (default: one that the service manager makes)')
      .option('--group <name>', 'the group that it runs as, whose members may use the control socket')
      .option('--env-file <file>', 'a file with variables for it, which stays where it is')
      .option('--socket', 'let systemd hold the port')
      .option('--dry-run', 'print the files and write nothing')
      .option('--yes', 'do not ask'),
    [configFile.flag],
  ).action(async (app: string | undefined, flags: Record<string, unknown>) => {
    process.exitCode = await (await import('./install.js')).installCommand(app, flags, given);
  });

  program
    .command('import')
    .argument('[file]', 'ecosystem.config.js, .cjs, .mjs or .json, or dump.pm2 (default: what PM2 runs)')
    .description('make services of the apps of PM2, and take them over (root; --dry-run for all)')
    .option('--env <name>', 'take the variables of env_<name> over those of env')
    .option('--only <apps...>', 'these apps only, by their names in PM2')
    .option('--server <apps...>', 'these apps listen on a port')
    .option('--process <apps...>', 'these apps do not listen, such as the worker of a queue')
    .option('--socket', 'let systemd hold the ports')
    .option('--take-over', 'stop each app in PM2 and start its service, or PM2 again if that fails')
    .option('--no-trial', 'never run an app beside PM2: PM2 stops it before its service starts')
    .option('--give-back <services...>', 'stop these services, and start their apps in PM2 again')
    .option('--dry-run', 'print what would become of the apps, and write nothing')
    .option('--yes', 'do not ask')
    .option('--json', 'print JSON')
    .action(async (file: string | undefined, flags: Record<string, unknown>) => {
      process.exitCode = await (await import('./import.js')).importCommand(file, flags);
    });

  program
    .command('uninstall')
    .argument('<service>', 'the name of the service')
    .description(
      'stop a service and remove what install wrote; what was edited stays, and what the app wrote',
    )
    .option('--purge', 'remove these, too')
    .option('--dry-run', 'say what would be removed')
    .option('--yes', 'do not ask')
    .action(async (name: string, flags: Record<string, unknown>) => {
      process.exitCode = await (await import('./install.js')).uninstallCommand(name, flags);
    });

  program
    .command('list')
    .description('show all services of this host, running or not')
    .option('--json', 'print JSON')
    .action(async (flags: Record<string, unknown>) => {
      process.exitCode = await (await import('./list.js')).listCommand(flags);
    });
}

function print(text: string): void {
  onReaderGone();
  writeOut(text);
}

/** Sixty options take a millisecond or two, which are on the way to readiness. */
function addSettings(command: Command, without: readonly string[]): Command {
  const config = `configuration file (default: ${configFile.path} if it exists)`;
  if (!without.includes(configFile.flag)) command.option(`${configFile.flag} <file>`, config);
  for (const key of keys) {
    const flag = flagOf(key);
    if (flag === null) continue;
    const { description } = settingOf(key);
    command.option(`${flag} <value>`, `${description} (default: ${defaultOf(key)})`.replaceAll('`', ''));
  }
  return command;
}

export interface ControlSeam {
  /** Ends the process once standard output is written. */
  readonly finish: (exitCode: CommandExit) => void;
  /** @throws RomAgentError */
  readonly open: (flags: Readonly<Record<string, unknown>>) => Promise<Session>;
}

export type Run<Flags> = (
  session: Session,
  flags: Flags & Readonly<Record<string, unknown>>,
  ...words: readonly (string | undefined)[]
) => Promise<CommandExit>;

/** The commands that talk to a daemon which runs. */
export function addControlCommands(program: Command, seam: ControlSeam): void {
  const act = <Flags>(command: Command, run: Run<Flags>): Command => withSocket(command, run, seam);

  act<import('./status.js').StatusFlags>(
    program
      .command('status')
      .description('show the service and its workers')
      .option('--watch', 'refresh once a second until Ctrl-C')
      .option('--fleet', 'show every host of the fleet instead')
      .option('--json', 'print JSON; with --watch a document a line'),
    async (session, flags) => (await import('./status.js')).statusCommand(session, flags),
  );
  act<import('./top.js').TopFlags>(
    program
      .command('top')
      .description('show load and memory of each worker, second by second, until q or Ctrl-C')
      .option('-n, --number <count>', 'look so many times, then end'),
    async (session, flags) => (await import('./top.js')).topCommand(session, flags),
  );
  act(
    program
      .command('health')
      .description(
        'say whether the service serves and at least half of its workers answer (exit status 0: yes, 75: no)',
      ),
    async (session) => (await import('./health.js')).healthCommand(session),
  );
  act<import('./reload.js').ReloadFlags>(
    program
      .command('reload')
      .description(
        'replace the workers with a new generation and wait for the verdict (exit status 0: done, 70: rolled back, 75: refused or stopped)',
      )
      .option('--no-soak', 'do not watch the canary before replacing the other workers')
      .option('--no-rollback', 'replace the workers even if the new ones fail')
      .option('--fleet', 'every host of the fleet in turn, until the first bad verdict')
      .option('--json', 'print each step as a line of JSON'),
    async (session, flags) => (await import('./reload.js')).reloadCommand(session, flags),
  );
  act(
    program
      .command('notify')
      .description(
        'send a test notification by [notify] and say what came of it (exit status 0: told, 75: refused or not told)',
      ),
    async (session) => (await import('./notify.js')).notifyCommand(session),
  );
  act<import('./jobs.js').JobsFlags>(
    jobsOptions(program.command('jobs')),
    async (session, flags, action, name) =>
      (await import('./jobs.js')).jobsCommand(session, flags, { action, name }),
  );
  withSocket<import('./deploy.js').DeployFlags>(
    program
      .command('deploy')
      .description(
        'bring a new release into the service by [deploy] and wait for the verdict (exit status 0: it serves, 70: it does not, 75: refused)',
      )
      .argument('[ref]', 'branch, tag or commit; of a tarball its {ref} (default: deploy.ref)')
      .option('--dry-run', 'say what it would do, and whether it could')
      .option('--fleet', 'every host of the fleet in turn, until the first bad verdict')
      .option(
        '--init',
        'make the first release, for a service that does not run yet; nothing where there is one',
      )
      .option('--json', 'print each line as JSON'),
    async (session, flags, ref) => (await import('./deploy.js')).deployCommand(session, ref, flags),
    {
      ...seam,
      open: async (flags) =>
        flags.init === true
          ? (await import('./deploy-init.js')).initAndEnd(flags, seam.finish)
          : seam.open(flags),
    },
  );
  act<{ json?: boolean }>(
    program
      .command('rollback')
      .description('bring a release that is there into the service again; exit status as for deploy')
      .argument('[id]', 'the release, as rom-agent releases shows it (default: the one before)')
      .option('--json', 'print each line as JSON'),
    async (session, flags, id) => (await import('./deploy.js')).rollbackCommand(session, id, flags),
  );
  act<{ json?: boolean }>(
    program
      .command('releases')
      .description('list the releases that are there and the last deploys, newest first')
      .option('--json', 'print JSON'),
    async (session, flags) => (await import('./deploy.js')).releasesCommand(session, flags),
  );
  addQueues(program, act);
  act(program.command('abort').description('roll back the reload in progress'), async (session) =>
    (await import('./reload.js')).abortCommand(session),
  );
  act<{ wait: boolean }>(
    program
      .command('scale')
      .description('change the number of workers and wait until they are ready')
      .argument(
        '<size>',
        'the number of workers, such as 4, a change, such as +1 or -1, or auto: by the load again',
      )
      .option('--no-wait', 'return as soon as the daemon accepts'),
    async (session, flags, size = '') => (await import('./workers.js')).scaleCommand(session, size, flags),
  );
  act(
    program
      .command('restart')
      .description('replace one worker and wait until the new one is ready; the old one serves until then')
      .argument('<worker>', 'the number that status shows'),
    async (session, _, worker = '') => (await import('./workers.js')).restartCommand(session, worker),
  );
  act<{ json?: boolean }>(
    program
      .command('stack')
      .description('show what a worker is doing: its JavaScript stack and requests in flight')
      .argument('<worker>', 'the number that status shows')
      .option('--json', 'print JSON'),
    async (session, flags, worker = '') =>
      (await import('./evidence.js')).stackCommand(session, worker, flags),
  );
  act<{ seconds: string }>(
    program
      .command('profile')
      .description('write a CPU profile of a worker while it serves, and print the path of the file')
      .argument('<worker>', 'the number that status shows')
      .option('--seconds <count>', 'duration, 1 to 600', '10'),
    async (session, flags, worker = '') =>
      (await import('./evidence.js')).profileCommand(session, worker, flags),
  );
  act<{ summary: boolean }>(
    program
      .command('heap-snapshot')
      .description(
        'write a heap snapshot of a worker, which serves nothing in the meantime; print its path, and what keeps the memory',
      )
      .argument('<worker>', 'the number that status shows')
      .option('--no-summary', 'do not read the snapshot, which takes time and memory'),
    async (session, flags, worker = '') =>
      (await import('./evidence.js')).heapSnapshotCommand(session, worker, flags),
  );
  act(program.command('stop').description('stop the service and wait until it has exited'), async (session) =>
    (await import('./workers.js')).stopCommand(session),
  );
  act<import('./reload.js').HistoryFlags>(
    program
      .command('history')
      .description('list the last reloads, newest first, or the steps of one')
      .argument('[number]', 'the number that the list shows')
      .option('-n, --number <count>', 'show at most this many')
      .option('--json', 'print JSON'),
    async (session, flags, serial) => (await import('./reload.js')).historyCommand(session, serial, flags),
  );
  act<import('./why.js').WhyFlags>(
    program
      .command('why')
      .description('say what was decided and from what cause, also of a service that does not run any more')
      .argument('[about]', 'worker, reload, deaths, health, memory, scale or service (default: everything)')
      .argument('[number]', 'of the worker')
      .option('--since <time>', 'only what is not older: 30m, 12h, 2d, or a time such as 2026-11-23T12:00')
      .option('-n, --number <count>', 'show at most this many lines, the newest', '200')
      .option('--json', 'print JSON'),
    async (session, flags, about, number) =>
      (await import('./why.js')).whyCommand(session, flags, about, number),
  );
  act<{ json?: boolean }>(
    program
      .command('events')
      .description('print events of the daemon as they happen, until Ctrl-C')
      .option('--json', 'print each event as a line of JSON'),
    async (session, flags) => (await import('./status.js')).eventsCommand(session, flags),
  );
  act<import('./logs.js').LogsFlags>(
    program
      .command('logs')
      .description('show the last lines of the log, from the journal or from its files')
      .option('-f, --follow', 'go on with new lines until Ctrl-C')
      .option('-n, --lines <count>', 'show at most this many', '50')
      .option('--worker <number>', 'only what this worker wrote, or the master about it')
      .option('--level <level>', 'only lines of this level and worse, such as warn')
      .option(
        '--since <time>',
        'only what is not older: 90s, 10m, 2h, 1d, or a time such as 2026-11-23T12:00',
      )
      .option('--json', 'print each entry as a line of JSON'),
    async (session, flags) => (await import('./logs.js')).logsCommand(session, flags),
  );
  act<import('./dashboard.js').DashboardFlags>(
    program
      .command('dashboard')
      .description(
        'serve a page about the service on the loopback until Ctrl-C: print its URL and open it in a browser',
      )
      .option('--no-open', 'do not open a browser'),
    async (session, flags) => (await import('./dashboard.js')).dashboardCommand(session, flags),
  );
  act<{ json?: boolean; changed?: boolean }>(
    program
      .command('config')
      .description('print the configuration of the running daemon and where each value comes from')
      .option('--changed', 'only the settings that differ from their defaults')
      .option('--json', 'print JSON'),
    async (session, flags) => (await import('./config.js')).runningConfigCommand(session, flags),
  );
}

function withSocket<Flags>(command: Command, run: Run<Flags>, { open, finish }: ControlSeam): Command {
  return command
    .option(nameFlag, nameHelp)
    .option(`${flagOf('control_socket')} <path>`, socketHelp)
    .option(`${configFile.flag} <file>`, 'configuration file that names the control socket')
    .action(async (...given: unknown[]) => {
      // Commander hands over the arguments, the flags and the command, in this order.
      const flags = given.at(-2) as Flags & Readonly<Record<string, unknown>>;
      const words = given.slice(0, -2) as (string | undefined)[];
      finish(await run(await open(flags), flags, ...words));
    });
}

const socketHelp =
  `${settingOf('control_socket').description} (default: ${defaultOf('control_socket')})`.replaceAll('`', '');

/** The flag by which every command that concerns a service names it. */
const nameFlag = '--name <service>';
const nameHelp = 'the service, as rom-agent list shows it (default: the only one of this host)';

/** Those that there is a completion for. */
export const shells = ['bash', 'zsh', 'fish'] as const;
