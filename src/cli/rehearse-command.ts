import type { Command } from 'commander';
import { configFile } from '../settings/settings.js';
import { whenPrinted } from './output.js';

/** `rehearse`, whose code is imported only when it is called for. */
export function addRehearse(
  program: Command,
  {
    given,
    exit,
  }: {
    readonly given: (app: string | undefined, flags: Record<string, unknown>) => Record<string, unknown>;
    readonly exit: (code: number) => void;
  },
): void {
  program
    .command('rehearse')
    .argument('[app]', "the app's module")
    .description(
      'try an app in a sandbox: reload, kill, hang and stop it under load, and say what would be lost in production, and by which line (exit status 0: nothing, 70: something)',
    )
    .option(`${configFile.flag} <file>`, 'configuration file with the settings of the app')
    .option('--workers <count>', 'number of workers', '2')
    .option('--paths <file>', 'file with what to ask for: a path a line, or a method and a path (default: /)')
    .option('--har <file>', 'HTTP archive with what to ask for, as a browser saves it')
    .option('--openapi <file>', 'OpenAPI document in JSON with what to ask for, a file or a URL')
    .option(
      '--cut <variable>',
      'variable with the URL of a database, from which the app is cut off for a while',
    )
    .option(
      '--only <acts>',
      'these acts only, with commas: boot, load, leak, reload, scale, kill, hang, memory, cut, stop, sigterm',
    )
    .option('--duration <time>', 'how long a load runs by itself, such as 3s', '3s')
    .option('--junit <file>', 'write the result as JUnit XML, too')
    .option('--json', 'print JSON')
    .action(async (app: string | undefined, flags: Record<string, unknown>) => {
      const { rehearseCommand } = await import('./rehearse.js');
      const exitCode = await rehearseCommand(app, given(app, flags));
      // A request that is still waited for must not keep the process.
      whenPrinted(() => exit(exitCode));
    });
}
