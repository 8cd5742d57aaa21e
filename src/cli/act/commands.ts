import { Argument, type Command } from 'commander';
import { type ControlSeam, type Run, withSocket } from '../command.js';

/** The commands that make a service which runs do something. */
export function addActing(program: Command, seam: ControlSeam): void {
  const act = <Flags>(command: Command, run: Run<Flags>): Command => withSocket(command, run, seam);

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
  act(program.command('stop').description('stop the service and wait until it has exited'), async (session) =>
    (await import('./workers.js')).stopCommand(session),
  );
  act<import('./upgrade.js').UpgradeFlags>(
    program
      .command('upgrade')
      .description(
        'replace the daemon itself, by the version on the disk or under another Node.js, while connections go on (exit status 0: done, 70: rolled back, 75: refused)',
      )
      .option('--node <path>', 'the Node.js that runs the next daemon (default: the present one)')
      .option('--keep <time>', 'how long connections of the old workers may go on (default: 1h)')
      .option('--json', 'print each line as JSON'),
    async (session, flags) => (await import('./upgrade.js')).upgradeCommand(session, flags),
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
  act<import('./jobs.js').JobsFlags>(
    program
      .command('jobs')
      .description(
        'list the jobs; run one now, with its output (exit status 0: done, 70: not, 75: left out); or show its last runs and the output of one',
      )
      .addArgument(new Argument('[action]', 'run or log (default: the list)').choices(['run', 'log']))
      .argument('[job]', 'the name of the job')
      .option('--run <id>', 'with log: the run whose output is wanted (default: the last one)')
      .option('--json', 'print JSON; with run a document a line'),
    async (session, flags, action, name) =>
      (await import('./jobs.js')).jobsCommand(session, flags, { action, name }),
  );
  act<import('./queues.js').QueuesFlags>(
    program
      .command('queues')
      .description(
        "show the app's queues; failed: the jobs of one that failed; retry: try one of these again",
      )
      .argument('[action]', 'failed or retry')
      .argument('[queue]', 'the name of a queue')
      .argument('[id]', 'the ID of a failed job')
      .option('-n, --number <count>', 'of failed, show so many (default: 20)')
      .option('--json', 'print JSON'),
    async (session, flags, ...words) => (await import('./queues.js')).queuesCommand(session, flags, words),
  );
  act(
    program
      .command('notify')
      .description(
        'send a test notification by [notify] and say what came of it (exit status 0: told, 75: refused or not told)',
      ),
    async (session) => (await import('./notify.js')).notifyCommand(session),
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
}
