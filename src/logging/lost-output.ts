/** The reader is gone: for good, or until another opens the pipe. */
const gone: ReadonlySet<string | undefined> = new Set(['EPIPE', 'ECONNRESET', 'EBADF', 'EIO', 'ENOTCONN']);

type OutputName = 'stdout' | 'stderr';

export interface LostOutput {
  /** Writes lost so far. */
  count(): number;
}

/**
 * Keeps a process from dying of a reader that has gone: what is written to standard output and standard error is then
 * lost, and counted. Any other failure of theirs is as without us. The streams are not opened by this.
 *
 * @param onFirst called once for each stream that loses something
 */
export function guardOutput(
  worker: Pick<NodeJS.Process, 'stdout' | 'stderr'>,
  onFirst: (name: OutputName) => void,
): LostOutput {
  let lost = 0;
  const guard = (name: OutputName, stream: NodeJS.WriteStream): void => {
    let isKnown = false;
    const onError = (error: NodeJS.ErrnoException): void => {
      if (!gone.has(error.code)) {
        if (stream.listenerCount('error') === 1) throw error;
        return;
      }
      lost++;
      if (isKnown) return;
      isKnown = true;
      onFirst(name);
    };
    stream.on('error', onError);
  };
  for (const name of ['stdout', 'stderr'] as const) {
    const plain = Object.getOwnPropertyDescriptor(worker, name);
    const { get } = plain ?? {};
    if (plain === undefined || get === undefined || !plain.configurable) continue;
    const guarded = new WeakSet<object>();
    Object.defineProperty(worker, name, {
      ...plain,
      get() {
        const stream = get.call(this) as NodeJS.WriteStream;
        if (!guarded.has(stream)) {
          guarded.add(stream);
          guard(name, stream);
        }
        return stream;
      },
    });
  }
  return { count: () => lost };
}
