import type { Command } from 'commander';
import { configFile } from '../../settings/settings.js';
import { type AppSeam, nameFlag, nameHelp } from '../command.js';

/** The commands that make services of this host, show them, and say what is wrong with one. */
export function addHosting(program: Command, { withSettings, given, appArguments }: AppSeam): void {
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
    process.exitCode = await (await import('./install.js')).installCommand(app, flags, appArguments);
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
}
