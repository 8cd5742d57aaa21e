import type { Command } from 'commander';
import { configFile } from '../../settings/settings.js';
import { type ControlSeam, nameFlag, nameHelp, type Run, withSocket } from '../command.js';

/** The commands that show what a service does, and why. */
export function addLooking(program: Command, seam: ControlSeam): void {
  const act = <Flags>(command: Command, run: Run<Flags>): Command => withSocket(command, run, seam);

  act<import('./status.js').StatusFlags>(
    program
      .command('status')
      .description('show the service and its workers')
      .option('--watch', 'refresh once a second until Ctrl-C')
      .option('--fleet', 'show every host of the fleet instead')
      .option('--routes', 'show what each kind of request costs the workers instead')
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
  act<{ json?: boolean; changed?: boolean }>(
    program
      .command('config')
      .description('print the configuration of the running daemon and where each value comes from')
      .option('--changed', 'only the settings that differ from their defaults')
      .option('--json', 'print JSON'),
    async (session, flags) => (await import('../start/config.js')).runningConfigCommand(session, flags),
  );

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
}
