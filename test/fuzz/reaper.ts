import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';

/** Whom the reaper knows: the leaders of process groups. */
export interface Reaper {
  begun(pid: number): void;
  ended(pid: number): void;
}

/**
 * A process that kills groups of processes once this one is gone, however it has ended: by SIGKILL as well, which nobody
 * hears. It reads what is begun and ended from a pipe, and has the end of that for ours.
 */
export function startReaper(): Reaper {
  const child = spawn(process.execPath, ['-e', reap], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  child.unref();
  (child.stdin as Socket).unref();
  // It goes when we go: there is nobody left to tell.
  child.stdin.on('error', () => {});
  const tell = (line: string): void => void child.stdin.write(`${line}\n`);
  return { begun: (pid) => tell(`+${pid}`), ended: (pid) => tell(`-${pid}`) };
}

const reap = `
  let text = '';
  process.stdin.setEncoding('utf8').on('data', (more) => { text += more; });
  process.stdin.on('end', () => {
    const groups = new Set();
    for (const line of text.split('\\n')) {
      if (line[0] === '+') groups.add(line.slice(1));
      if (line[0] === '-') groups.delete(line.slice(1));
    }
    for (const group of groups) try { process.kill(-Number(group), 'SIGKILL'); } catch {}
  });
`;
