import type { Command } from 'commander';
import { configFile, defaultOf, flagOf, keys, settingOf } from '../settings/settings.js';
import { onReaderGone, writeOut } from './output.js';
import type { CommandExit, Session } from './session.js';

/** The flag by which every command that concerns a service names it. */
export const nameFlag = '--name <service>';
export const nameHelp = 'the service, as rom-agent list shows it (default: the only one of this host)';

/** What the commands have that are given an app and settings. */
export interface AppSeam {
  readonly exit: (code: number) => void;
  /** Adds the flags of the settings, but for those named. */
  readonly withSettings: (command: Command, without?: readonly string[]) => Command;
  /** The flags, with the app and its arguments as settings. */
  readonly given: (app: string | undefined, flags: Record<string, unknown>) => Record<string, unknown>;
  /** What stands behind `--`: the app's arguments. */
  readonly appArguments: readonly string[] | undefined;
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

/** A command that talks to a daemon which runs. */
export function withSocket<Flags>(command: Command, run: Run<Flags>, { open, finish }: ControlSeam): Command {
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

/** Sixty options take a millisecond or two, which are on the way to readiness. */
export function addSettings(command: Command, without: readonly string[]): Command {
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

/** Prints, unless nobody reads any more. */
export function print(text: string): void {
  onReaderGone();
  writeOut(text);
}

const socketHelp =
  `${settingOf('control_socket').description} (default: ${defaultOf('control_socket')})`.replaceAll('`', '');
