import { exitStatusFor, findServiceManager, tellReason } from './ending.js';
import { runCommand } from './run.js';

async function main(): Promise<void> {
  const [, , called] = process.argv;
  if (process.pid === 1 && isServe(called)) (await import('./first-process.js')).letShellReap();
  const ending = await runCommand(process.argv, (code) => process.exit(code));
  if (ending === null) return;
  const { exitCode, why, error } = ending;
  const serviceManager = findServiceManager(() => {});
  // Whoever asks the daemon something is not the daemon.
  if (why !== null && isServe(called)) tellReason(serviceManager, why, error);
  process.exitCode = exitStatusFor(serviceManager, exitCode);
}

/** Not a command of the control socket; a word that is no command may be a misspelt one. */
function isServe(called: string | undefined): boolean {
  return called === undefined || called === 'serve' || called.startsWith('-');
}

void main();
