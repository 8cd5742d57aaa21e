/** How a worker is called in log lines, answers and records; null: it has no slot. */
export function workerName(slot: number | null): string {
  return slot === null ? 'a spare' : `worker ${slot}`;
}

/** Bytes as people read them: whole MiB. */
export function mebibytes(bytes: number): number {
  return Math.round(bytes / 2 ** 20);
}

export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
