import type { Command, Option } from 'commander';
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
  const expected = expectedFor(long);
  return {
    short: option.short ?? null,
    long,
    description: option.description,
    value:
      option.required || option.optional ? (/[<[]([^>\]]+)[>\]]/.exec(option.flags)?.[1] ?? 'value') : null,
    values: option.argChoices ?? choicesIn(expected),
    isFile: long === configFile.flag || expected.startsWith('the path of'),
  };
}

/** Of the setting that the flag sets; empty for other flags. */
function expectedFor(long: string): string {
  const key = keys.find((candidate) => flagOf(candidate) === long);
  return key === undefined ? '' : settingOf(key).kind.expected;
}

/** `one of "a", "b"` */
function choicesIn(expected: string): readonly string[] {
  if (!expected.startsWith('one of ')) return [];
  return [...expected.matchAll(/"([^"]+)"/g)].map(([, name = '']) => name);
}
