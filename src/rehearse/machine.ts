import { spawn } from 'node:child_process';

/** How long this machine takes for a process that does nothing, while nothing else disturbs it, ms. */
const usualStart = 100;

/** How many times slower than that it is at this moment; at least 1. Limits of time are as much longer. */
export async function measureMachine(): Promise<number> {
  return Math.max(1, (await startOfNode()) / usualStart);
}

function startOfNode(): Promise<number> {
  const began = performance.now();
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' });
    child.once('error', () => resolve(usualStart));
    child.once('exit', () => resolve(performance.now() - began));
  });
}
