import { Argument, type Command } from 'commander';

/** The arguments of `rom-agent jobs`. */
export function jobsOptions(command: Command): Command {
  return command
    .description(
      'list the jobs; run one now, with its output (exit status 0: done, 70: not, 75: left out); or show its last runs and the output of one',
    )
    .addArgument(new Argument('[action]', 'run or log (default: the list)').choices(['run', 'log']))
    .argument('[job]', 'the name of the job')
    .option('--run <id>', 'with log: the run whose output is wanted (default: the last one)')
    .option('--json', 'print JSON; with run a document a line');
}
