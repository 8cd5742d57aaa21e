/** The words of STATUS= about workers that wait for a port. `rom-agent import` reads them: see allWait. */
export function waitText(workers: number, port: number): string {
  return `${workers} wait${workers === 1 ? 's' : ''} for port ${port}`;
}

/** Whether a service that starts has no more to do than to take its port: by its STATUS=. */
export function allWait(status: string): boolean {
  const found = /(\d+) of (\d+) workers ready.*, (\d+) waits? for port \d+/.exec(status);
  if (found === null) return false;
  const [ready, all, waiting] = found.slice(1).map(Number);
  return (ready ?? 0) + (waiting ?? 0) >= (all ?? 0);
}
