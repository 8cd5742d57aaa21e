import type { ArgumentNode, CommandNode, commandTree, OptionNode } from './command-tree.js';

type Tree = ReturnType<typeof commandTree>;

/** A function for zsh's completion system, zshcompsys(1); as a file of fpath it is called `_rom-agent`. */
export function zshCompletion({ options, commands }: Tree): string {
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
${commands.map(({ name, description }) => `        ${quote(`${name}:${description.replaceAll(':', '\\:')}`)}`).join('\n')}
      )
      _describe -t commands 'command' commands
      ;;
    arguments)
      case $words[1] in
${commands.map(branch).join('\n')}
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

function branch({ name, arguments: args, options }: CommandNode): string {
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
  if (short === null) return quote(`${long}${equals}${about}${action}`);
  const exclusive = quote(`(${short} ${long})`);
  return `${exclusive}{${short}${value === null ? '' : '+'},${long}${equals}}${quote(`${about}${action}`)}`;
}

function argumentSpecification({ name, required, values, isFile }: ArgumentNode): string {
  return quote(`${required ? ':' : '::'}${name}:${actionFor({ values, isFile })}`);
}

function actionFor({ values, isFile }: Pick<OptionNode, 'values' | 'isFile'>): string {
  if (isFile) return '_files';
  return values.length === 0 ? ' ' : `(${values.join(' ')})`;
}

function bracketed(text: string): string {
  return text.replaceAll(/[[\]\\:]/g, '\\$&');
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
