/** A process that logs as its parent says, over its IPC channel. */
import { createLog, type Log } from '../../../src/logging/log.js';

interface Order {
  /** `flood` logs until lines are dropped; `lines` logs so many and `exit` one, then both flush and exit. */
  readonly kind: 'line' | 'flood' | 'lines' | 'exit';
  readonly count?: number;
  readonly text?: string;
}

const log = createLog({
  config: { level: 'info', format: 'json', dir: process.env.LOG_DIR ?? null, statsInterval: 0 },
  bindings: { worker: Number(process.env.WORKER ?? 1) },
  maxBytes: 256 * 1024,
});

process.on('message', (order: Order) => obey(order, log));

function obey({ kind, count = 0, text = '' }: Order, log: Log): void {
  if (kind === 'line') log.info(text);
  if (kind === 'lines') for (let index = 0; index < count; index += 1) log.info(`line ${index} ${text}`);
  if (kind === 'lines' || kind === 'exit') {
    if (kind === 'exit') log.info(text);
    log.flush();
    process.exit(0);
  }
  if (kind === 'flood') flood(log, performance.now());
  else process.send?.({ dropped: log.dropped() });
}

/** In small portions, so that a stalled loop would show as a long one. */
function flood(log: Log, last: number, longest = 0): void {
  for (let index = 0; index < 20; index += 1) log.info('x'.repeat(1000));
  const now = performance.now();
  const longer = Math.max(longest, now - last);
  if (log.dropped() > 0) process.send?.({ dropped: log.dropped(), longest: longer });
  else setImmediate(flood, log, now, longer);
}
