import type { CommandNode, commandTree, OptionNode } from './command-tree.js';

type Tree = ReturnType<typeof commandTree>;

/** A list of `complete` commands, complete(1) of fish. */
export function fishCompletion({ options, commands }: Tree): string {
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
