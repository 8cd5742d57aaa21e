import type { Command } from 'commander';
import { exitCodes, RomAgentError } from '../errors.js';
import { commandTree } from './command-tree.js';
import { bashCompletion } from './completion-bash.js';
import { fishCompletion } from './completion-fish.js';
import { zshCompletion } from './completion-zsh.js';
import { shells } from './shells.js';

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
      throw new RomAgentError(
        `completion: ${JSON.stringify(shell)} is not right: expected one of ${shells.join(', ')}`,
        { exitCode: exitCodes.usage },
      );
  }
}
