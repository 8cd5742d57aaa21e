import type { Command, Option } from 'commander';
import type { Kind } from '../settings/kinds.js';
import { configFile, flagOf, keys, settingOf } from '../settings/settings.js';
import { notRight } from './arguments.js';
import { shells } from './program.js';

/**
 * The completion of a shell, made from the commands that there are.
 * @throws RomAgentError exit 64 for another shell
 */
export function completionFor(shell: string, program: Command): string {
  const tree = commandTree(program);
  switch (shell) {
    case 'bash':
      return bashCompletion(tree);
    case 'zsh':
      return zshCompletion(tree);
    case 'fish':
      return fishCompletion(tree);
    default:
      throw notRight('completion:', shell, `one of ${shells.join(', ')}`);
  }
}

type Tree = ReturnType<typeof commandTree>;

/** A script for bash's `complete -F`; it needs nothing of the bash-completion package, and works with bash 3.2. */
function bashCompletion({ options, commands }: Tree): string {
  const names = commands.map(({ name }) => name).join(' ');
  return `# bash completion for rom-agent, made by: rom-agent completion bash

_rom_agent() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} command='' words='' file='' i
  # "--flag=value" comes as three words, for "=" is one of COMP_WORDBREAKS.
  if [[ $cur == '=' ]]; then cur=''; elif [[ $prev == '=' ]]; then prev=\${COMP_WORDS[COMP_CWORD - 2]}; fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
      ${commands.map(({ name }) => name).join(' | ')})
        command=\${COMP_WORDS[i]}
        break
        ;;
    esac
  done
  case $command in
    '')
      words='${names} help ${flags(options)}'
      ;;
${commands.map(bashBranch).join('\n')}
  esac
  COMPREPLY=()
  local word
  while IFS= read -r word; do COMPREPLY+=("$word"); done < <(
    if [[ -n $file ]]; then compgen -f -- "$cur"; fi
    compgen -W "$words" -- "$cur"
  )
  if [[ -n $file ]]; then compopt -o filenames 2>/dev/null; fi
  return 0
}

complete -F _rom_agent rom-agent
`;
}

function bashBranch(command: CommandNode): string {
  const values = command.options.filter(({ value }) => value !== null).map(valueBranch);
  const words = command.arguments.flatMap((argument) => argument.values).join(' ');
  const file = command.arguments.some(({ isFile }) => isFile);
  const rest = `words='${[words, flags(command.options)].filter(Boolean).join(' ')}'`;
  return `    ${command.name})
      case $prev in
${values.join('\n')}${values.length > 0 ? '\n' : ''}        *)
          ${rest}${file ? '\n          if [[ $cur != -* ]]; then file=1; fi' : ''}
          ;;
      esac
      ;;`;
}

function valueBranch({ short, long, values, isFile }: OptionNode): string {
  const pattern = short === null ? long : `${short} | ${long}`;
  const action = isFile ? 'file=1' : `words='${values.join(' ')}'`;
  return `        ${pattern}) ${action} ;;`;
}

function flags(options: readonly OptionNode[]): string {
  return options.map(({ long }) => long).join(' ');
}

/** A function for zsh's completion system, zshcompsys(1); as a file of fpath it is called `_rom-agent`. */
function zshCompletion({ options, commands }: Tree): string {
  return `#compdef rom-agent
# zsh completion for rom-agent, made by: rom-agent completion zsh

_rom_agent() {
  local context state state_descr line
  typeset -A opt_args
  _arguments -C \\
${options.map((option) => `    ${specification(option)} \\`).join('\n')}
    '1: :->command' \\
    '*:: :->arguments'
  case $state in
    command)
      local -a commands
      commands=(
${commands.map(({ name, description }) => `        ${quoted(`${name}:${description.replaceAll(':', '\\:')}`)}`).join('\n')}
      )
      _describe -t commands 'command' commands
      ;;
    arguments)
      case $words[1] in
${commands.map(zshBranch).join('\n')}
      esac
      ;;
  esac
}

if [ "$funcstack[1]" = "_rom-agent" ]; then
  _rom_agent "$@"
else
  compdef _rom_agent rom-agent
fi
`;
}

function zshBranch({ name, arguments: args, options }: CommandNode): string {
  const parts = [...options.map(specification), ...args.map(argumentSpecification)];
  return `        ${name})
          _arguments \\
${parts.map((part) => `            ${part}`).join(' \\\n')}
          ;;`;
}

/** `'--flag=[what it is]:value:(a b)'`, with `(-n --number)` before and `{-n+,--number=}` where there are two. */
function specification({ short, long, description, value, values, isFile }: OptionNode): string {
  const about = `[${bracketed(description)}]`;
  const action = value === null ? '' : `:${value}:${actionFor({ values, isFile })}`;
  const equals = value === null ? '' : '=';
  if (short === null) return quoted(`${long}${equals}${about}${action}`);
  const exclusive = quoted(`(${short} ${long})`);
  return `${exclusive}{${short}${value === null ? '' : '+'},${long}${equals}}${quoted(`${about}${action}`)}`;
}

function argumentSpecification({ name, required, values, isFile }: ArgumentNode): string {
  return quoted(`${required ? ':' : '::'}${name}:${actionFor({ values, isFile })}`);
}

function actionFor({ values, isFile }: Pick<OptionNode, 'values' | 'isFile'>): string {
  if (isFile) return '_files';
  return values.length === 0 ? ' ' : `(${values.join(' ')})`;
}

function bracketed(text: string): string {
  return text.replaceAll(/[[\]\\:]/g, '\\$&');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A list of `complete` commands, complete(1) of fish. */
function fishCompletion({ options, commands }: Tree): string {
  return `# fish completion for rom-agent, made by: rom-agent completion fish

complete -c rom-agent -f
${options.map((option) => line('__fish_use_subcommand', optionWords(option))).join('\n')}
${commands.map(({ name, description }) => line('__fish_use_subcommand', `-a ${name} -d ${quote(description)}`)).join('\n')}
${commands.map(lines).join('\n')}
`;
}

function lines({ name, arguments: args, options }: CommandNode): string {
  const seen = `__fish_seen_subcommand_from ${name}`;
  const files = args.some(({ isFile }) => isFile) ? [line(seen, '-F')] : [];
  const values = args.flatMap((argument) => argument.values);
  const words = values.length === 0 ? [] : [line(seen, `-a ${quote(values.join(' '))}`)];
  return [...files, ...words, ...options.map((option) => line(seen, optionWords(option)))].join('\n');
}

function line(condition: string, rest: string): string {
  return `complete -c rom-agent -n '${condition}' ${rest}`;
}

function optionWords({ short, long, description, value, values, isFile }: OptionNode): string {
  const parts = [
    ...(short === null ? [] : [`-s ${short.slice(1)}`]),
    `-l ${long.slice(2)}`,
    ...(value === null ? [] : ['-r']),
    ...(isFile ? ['-F'] : []),
    ...(values.length === 0 ? [] : [`-a ${quote(values.join(' '))}`]),
    `-d ${quote(description)}`,
  ];
  return parts.join(' ');
}

function quote(text: string): string {
  return `'${text.replaceAll(/[\\']/g, '\\$&')}'`;
}

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
