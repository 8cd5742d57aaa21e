import type { Command } from 'commander';
import { configFile } from '../../settings/settings.js';
import { type AppSeam, nameFlag, nameHelp, print } from '../command.js';
import { whenPrinted, writeError } from '../output.js';

/** The commands that serve an app, and prepare for it. */
export function addStarting(program: Command, { withSettings, given, exit }: AppSeam): void {
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

  program
    .command('init')
    .description('write a configuration with comments, rom-agent.toml, for the app in the current directory')
    .option('--stdout', 'print it instead')
    .action(async (flags: { stdout?: boolean }) => {
      const { initCommand } = await import('./init.js');
      process.exitCode = initCommand(flags);
    });
}
