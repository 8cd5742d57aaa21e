import { settingOf } from '../../settings/settings.js';
import { becomes, dropped, type Outcome, todo, wordsOf } from './outcome.js';

/** What comes of `node_args`: flags of Node, some of which are settings of ours. */
export function nodeFlagsOf(value: unknown): Outcome {
  const words = wordsOf(value ?? []);
  if (words === null)
    return todo(`node_args in the configuration: ${JSON.stringify(value)} has an open quote`);
  const flags = joined(words);
  const settings: Record<string, unknown> = {};
  const kept: string[] = [];
  const left: string[] = [];
  for (const flag of flags) {
    const [, name = '', size] =
      /^--(max[-_]old[-_]space[-_]size|max[-_]semi[-_]space[-_]size)=(\d+)$/.exec(flag) ?? [];
    if (size !== undefined) settings[name.replaceAll('-', '_')] = Number(size);
    else if (settingOf('node_args').kind.parse([flag], 'toml') === undefined || isInspector(flag))
      left.push(flag);
    else kept.push(flag);
  }
  const said = [
    ...(kept.length === 0 ? [] : [`node_args = ${JSON.stringify(kept)}`]),
    ...Object.entries(settings).map(([name, size]) => `${name} = ${size}`),
  ];
  if (left.length > 0) {
    const why = left.every(isInspector)
      ? 'an open inspector is no thing for a service; rom-agent stack, profile and heap-snapshot look into a worker'
      : 'they are no flags with which an app runs';
    return { ...todo([...said, `left out: ${left.join(' ')}: ${why}`].join('; ')), settings, nodeArgs: kept };
  }
  if (said.length === 0) return dropped('none');
  return { ...becomes(said.join(', '), settings), nodeArgs: kept };
}

/** A value that stands behind a blank belongs to the flag before it. */
function joined(words: readonly string[]): readonly string[] {
  const flags: string[] = [];
  for (const word of words) {
    const before = flags.at(-1);
    if (word.startsWith('-') || before === undefined) flags.push(long(word));
    else flags[flags.length - 1] = `${before}=${word}`;
  }
  return flags;
}

/** `-r x` has no form with "=". */
function long(flag: string): string {
  return flag === '-r' ? '--require' : flag === '-C' ? '--conditions' : flag;
}

function isInspector(flag: string): boolean {
  return /^--inspect(-|=|$)/.test(flag) || flag === '--debug';
}
