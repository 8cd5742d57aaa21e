import { Argument, Command } from 'commander';
import { configFile, defaultOf, flagOf, keys, settingOf } from '../config/settings.js';
import { addControlCommands } from './control-commands.js';
import { printError } from './last-words.js';
import { shells } from './shells.js';
import { onReaderGone, whenPrinted, writeError, writeOut } from './terminal.js';
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
  const withSettings = (command: Command): Command =>
    called === 'serve' && command.name() !== called ? command : addSettings(command);
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
    .showHelpAfterError('(rom-agent --help shows what there is)');

  withSettings(
    program.command('serve').argument('[app]', "the app's module; without it the built-in app is served"),
  )
    .description('serve an app with a cluster of workers, until SIGTERM; arguments for it stand behind --')
    .showHelpAfterError(
      "(see rom-agent serve --help; the app's arguments stand behind --: rom-agent serve app.js -- --flag value)",
    )
    .action(async (app: string | undefined, flags: Record<string, unknown>) => {
      const { serveCommand } = await import('./serve.js');
      exit(await serveCommand(given(app, flags)));
    });

  withSettings(program.command('check').argument('[app]', "the app's module"))
    .description(
      'print the effective configuration and where each value comes from, or everything wrong with it',
    )
    .option('--changed', 'only the settings that differ from their defaults')
    .option('--json', 'print JSON')
    .action(async (app: string | undefined, flags: Record<string, unknown>) => {
      const { checkCommand } = await import('./check.js');
      const { text, errors, exitCode } = await checkCommand(given(app, flags));
      print(text);
      writeError(errors);
      process.exitCode = exitCode;
    });

  withSettings(program.command('doctor').argument('[app]', "the app's module"))
    .description(
      'look at the machine, the unit and the configuration, and say what to change: 78 for a problem',
    )
    .option(
      '--unit <name>',
      'the service to look at; "none": what this shell would start',
      'rom-agent.service',
    )
    .option('--all', 'show what is in order, too')
    .option('--json', 'print JSON')
    .action(async (app: string | undefined, flags: Record<string, unknown>) => {
      const { doctorCommand } = await import('./doctor.js');
      process.exitCode = await doctorCommand(given(app, flags));
    });

  addControlCommands(program, {
    open: async (flags) => (await import('./session.js')).openSession(flags),
    // A connection that is still open must not keep the process; the callback comes once the text is out.
    finish: (exitCode) => whenPrinted(() => exit(exitCode)),
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

function print(text: string): void {
  onReaderGone();
  writeOut(text);
}

/** Sixty options take a millisecond or two, which are on the way to readiness. */
function addSettings(command: Command): Command {
  command.option(
    `${configFile.flag} <file>`,
    `configuration file (default: ${configFile.path} if it exists)`,
  );
  for (const key of keys) {
    const flag = flagOf(key);
    if (flag === null) continue;
    const { description } = settingOf(key);
    command.option(`${flag} <value>`, `${description} (default: ${defaultOf(key)})`.replaceAll('`', ''));
  }
  return command;
}
