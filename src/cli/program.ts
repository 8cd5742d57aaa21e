import { Argument, Command } from 'commander';
import { addActing } from './act/commands.js';
import { type AppSeam, addSettings, type ControlSeam, print } from './command.js';
import { printError } from './ending.js';
import { addHosting } from './host/commands.js';
import { addLooking } from './look/commands.js';
import { whenPrinted } from './output.js';
import { addStarting } from './start/commands.js';
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
  const program = new Command('rom-agent')
    .description('Runs a Node.js web service on every core, as a native service of systemd or launchd.')
    .version(version, '-v, --version')
    .exitOverride()
    .configureOutput({ writeOut: print, writeErr: printError })
    .showHelpAfterError('(rom-agent --help lists the commands)');

  const app: AppSeam = {
    exit,
    appArguments,
    withSettings: (command, without = []) =>
      called === 'serve' && command.name() !== called ? command : addSettings(command, without),
    given: (module, flags) => ({
      ...flags,
      ...(module === undefined ? {} : { app: module }),
      ...(appArguments === undefined ? {} : { args: appArguments }),
    }),
  };
  const control: ControlSeam = {
    open: async (flags) => (await import('./session.js')).openSession(flags),
    // A connection that is still open must not keep the process; the callback comes once the text is out.
    finish: (exitCode) => whenPrinted(() => exit(exitCode)),
  };
  program.commandsGroup('Serve an app:');
  addStarting(program, app);
  program.commandsGroup('Services of this host:');
  addHosting(program, app);
  program.commandsGroup('Act on a service that runs:');
  addActing(program, control);
  program.commandsGroup('Look at a service:');
  addLooking(program, control);
  program.commandsGroup('Other:').helpCommand('help [command]', 'show the help of a command');
  program
    .command('completion')
    .description('print the completion of a shell')
    .addArgument(new Argument('<shell>', 'the shell').choices(shells))
    .action(async (shell: string) => {
      const { completionFor } = await import('./completion.js');
      print(completionFor(shell, program));
    });
  // The list has a line each; exit statuses and what follows a semicolon stand in the help of the command itself.
  for (const command of program.commands)
    command.summary(command.description().replace(/ \(.*|[;:] .*/s, ''));
  return program;
}

/** Those that there is a completion for. */
export const shells = ['bash', 'zsh', 'fish'] as const;
