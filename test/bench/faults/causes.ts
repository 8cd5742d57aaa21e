import type { JournalEntry } from '../../system/systemd/journal.js';

/** What has to stand in the log: all of these; or `quiet`: nothing from a warning upwards; null: nothing in particular. */
export type Expected = readonly RegExp[] | 'quiet' | null;

export interface Causes {
  /** In the journal of the unit: the daemon's lines and systemd's about it. */
  readonly romAgent: Expected;
  /** In PM2's log, the app's logs or the journal of the unit. */
  readonly pm2: Expected;
}

const pm2Killed = /App \[app:\d+\] exited with code \[\d*\] via signal \[SIGKILL\]/;
const unitKilled = /Main process exited, code=killed, status=9\/KILL/;

/** One entry a scenario, by its name. */
export const causes: Readonly<Record<string, Causes>> = {
  'kill-worker': { romAgent: [/worker \d crashed: ended by SIGKILL/], pm2: [pm2Killed] },
  'kill-workers': {
    romAgent: [/worker 1 crashed: ended by SIGKILL/, /worker 2 crashed: ended by SIGKILL/],
    pm2: [pm2Killed],
  },
  'kill-master': { romAgent: [unitKilled], pm2: [unitKilled] },
  'stop-worker': {
    romAgent: [/worker \d hung: silent for [\d.]+ s, stopped by a signal/],
    pm2: [/app.*(hung|stopped)/i],
  },
  'stop-master': { romAgent: [/Watchdog timeout \(limit \d+s\)/], pm2: [/watchdog/i] },
  spin: {
    romAgent: [
      /worker \d hung: silent for [\d.]+ s in spinForEver \(\S*app\.cjs:\d+:\d+\)/,
      /GET \/spin [\d.]+ s/,
    ],
    pm2: [/spinForEver/],
  },
  reject: {
    romAgent: [/worker \d crashed: Error: nobody handles this/, /app\.cjs:\d+:\d+/],
    pm2: [/nobody handles this/],
  },
  oom: {
    romAgent: [/worker \d crashed: killed by the kernel for memory/, /GET \/eat [\d.]+ s/],
    pm2: [pm2Killed],
  },
  leak: { romAgent: [/memory is short, \d+ of \d+ MiB are used: draining worker \d/], pm2: [/memory/i] },
  descriptors: { romAgent: [/EMFILE|descriptors/i], pm2: [/EMFILE|descriptors/i] },
  'log-disk': { romAgent: [/ENOSPC/, /worker \d crashed: ended by SIGKILL/], pm2: [/ENOSPC/] },
  'log-reader': { romAgent: [/worker \d crashed: ended by SIGKILL/], pm2: null },
  'boot-worker': {
    romAgent: [/worker \d died before it listened: Error: this boot fails/],
    pm2: [/this boot fails/],
  },
  'boot-service': { romAgent: [/cannot start: Error: this boot fails/], pm2: [/this boot fails/] },
  'term-boot': { romAgent: [/stopping: SIGTERM[\s\S]*stopping: SIGTERM/], pm2: null },
  storm: { romAgent: [/reload to generation \d+ .*done/], pm2: null },
  clock: { romAgent: 'quiet', pm2: null },
  sleep: { romAgent: [/master event loop stalled for/], pm2: null },
  'slow-drain': { romAgent: [/stopping: SIGTERM/], pm2: null },
};

/** What is missing, in words; null: nothing. */
export function foundIn(
  expected: Expected,
  { log, entries }: { log: string; entries: readonly JournalEntry[] },
): string | null {
  if (expected === null) return null;
  if (expected === 'quiet') {
    const loud = entries.find(({ priority }) => priority <= 4);
    return loud === undefined ? null : `nothing was to be said, but: ${loud.message.slice(0, 160)}`;
  }
  const missing = expected.filter((pattern) => !pattern.test(log));
  return missing.length === 0 ? null : missing.map(String).join(' ');
}
