import type { Command, Option } from 'commander';
import type { Kind } from '../config/kinds.js';
import { configFile, flagOf, keys, settingOf } from '../config/settings.js';

/** What completion and the manual page need to know of a command. */
export interface CommandNode {
  readonly name: string;
  readonly description: string;
  /** As in a usage line: `<size>`, `[app]`. */
  readonly arguments: readonly ArgumentNode[];
  readonly options: readonly OptionNode[];
}

export interface ArgumentNode {
  readonly name: string;
  readonly required: boolean;
  readonly description: string;
  /** Those that can be told in advance. */
  readonly values: readonly string[];
  readonly isFile: boolean;
}

export interface OptionNode {
  /** `-n`; null where it has none. */
  readonly short: string | null;
  /** `--number` */
  readonly long: string;
  readonly description: string;
  /** The name of its value, such as `count`; null for one that takes none. */
  readonly value: string | null;
  readonly values: readonly string[];
  readonly isFile: boolean;
}

/** The commands, and the options of the program itself. */
export function commandTree(program: Command): {
  readonly options: readonly OptionNode[];
  readonly commands: readonly CommandNode[];
} {
  return { options: optionsOf(program), commands: program.commands.map(node) };
}

function node(command: Command): CommandNode {
  return {
    name: command.name(),
    description: command.description(),
    arguments: command.registeredArguments.map((argument) => ({
      name: argument.name(),
      required: argument.required,
      description: argument.description,
      values: argument.argChoices ?? [],
      isFile: argument.name() === 'app',
    })),
    options: optionsOf(command),
  };
}

function optionsOf(command: Command): readonly OptionNode[] {
  return command.createHelp().visibleOptions(command).map(optionNode);
}

function optionNode(option: Option): OptionNode {
  const long = option.long ?? option.flags;
  const kind = kindOf(long);
  return {
    short: option.short ?? null,
    long,
    description: option.description,
    value:
      option.required || option.optional ? (/[<[]([^>\]]+)[>\]]/.exec(option.flags)?.[1] ?? 'value') : null,
    values: option.argChoices ?? kind?.choices?.map(String) ?? [],
    isFile: long === configFile.flag || kind?.isPath === true,
  };
}

/** Of the setting that the flag sets; null for other flags. */
function kindOf(long: string): Kind<unknown> | null {
  const key = keys.find((candidate) => flagOf(candidate) === long);
  return key === undefined ? null : settingOf(key).kind;
}
