import type { Command } from 'commander';
import type { Run } from './program.js';

/** `rom-agent queues`, as the program knows it before it is run. */
export function addQueues(
  program: Command,
  act: <Flags>(command: Command, run: Run<Flags>) => Command,
): void {
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
}
