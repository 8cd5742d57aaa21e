import type { KeptDeath } from '../core/state.js';

/** What an operator can do about a death; null where the cause says all. */
export function adviceOnDeath({ kind, worker, signal, oomKills, cause, stack }: KeptDeath): string | null {
  if (oomKills > 0) return 'memory.max_rss has the master replace a worker before the kernel kills it';
  if (cause.includes('heap limit'))
    return `raise max_old_space_size, or look for a leak: rom-agent heap-snapshot ${worker ?? 'WORKER'} says what keeps the memory`;
  if (kind === 'hang') {
    return stack === null
      ? `rom-agent stack ${worker ?? 'WORKER'} shows what a worker does while it hangs`
      : 'rom-agent logs --level error has the stack that it hung in';
  }
  if (signal === 'SIGKILL') return 'somebody sent SIGKILL: dmesg says whether it was the kernel';
  if (cause.startsWith('did not ')) return 'find what the app waits for, or raise boot_timeout';
  if (cause.startsWith('cannot start a worker'))
    return 'rom-agent doctor shows the limits of the machine and the unit';
  if (kind === 'boot') return 'rom-agent check shows the settings; the log has the stack of the app';
  return kind === 'crash' && stack !== null ? 'rom-agent logs --level error has its stack' : null;
}

/** What an operator can do about a worker that has become ill; null where the cause says all. */
export function adviceOnIllness(why: string, slot: number | null): string | null {
  if (why.startsWith('its app does not answer health.check'))
    return `rom-agent stack ${slot ?? 'WORKER'} shows what the app does; a database that is down no restart brings back`;
  return /^its (heap|resident set) is /.test(why) ? adviceOnMemory(slot) : null;
}

/** The next worker of the slot runs the same code. */
export function adviceOnMemory(slot: number | null): string {
  return `once the next one has grown, rom-agent heap-snapshot ${slot ?? 'WORKER'} says what keeps its memory`;
}

export function adviceOnRollback(serial: number): string {
  return `rom-agent history ${serial} shows its steps; mend the release, then rom-agent reload`;
}

/** What comes after the end of the master, and what can be done. */
export function adviceOnEnd(exitCode: number, cause: string): string | null {
  if (exitCode === 0) return null;
  if (cause.startsWith('too many restarts')) {
    return 'the deaths above say why; the service manager starts another master: restart.intensity and restart.window set the limit';
  }
  return 'rom-agent doctor looks for what is wrong with machine, unit and configuration';
}
