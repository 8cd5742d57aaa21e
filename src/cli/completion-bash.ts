import type { CommandNode, commandTree, OptionNode } from './command-tree.js';

type Tree = ReturnType<typeof commandTree>;

/** A script for bash's `complete -F`; it needs nothing of the bash-completion package, and works with bash 3.2. */
export function bashCompletion({ options, commands }: Tree): string {
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
${commands.map(branch).join('\n')}
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

function branch(command: CommandNode): string {
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
