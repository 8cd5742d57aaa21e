import { syncBuiltinESMExports } from 'node:module';
import workerThreads from 'node:worker_threads';

type Threads = Pick<typeof workerThreads, 'Worker'>;

/**
 * A thread inherits the flags that its process was started with, process.execArgv or not. Ours are not for it: one that
 * hands its own flags on to a further thread would fail (ERR_WORKER_INVALID_EXEC_ARGV). So a thread for which the app
 * names no flags is given those of plain Node.
 *
 * @param flags what the app itself finds in process.execArgv
 */
export function startThreadsWith(flags: readonly string[], threads: Threads = workerThreads): void {
  const { Worker } = threads;
  const started = new Proxy(Worker, {
    construct: (target, args: unknown[], newTarget) => {
      const [file, options = {}] = args;
      if (typeof options !== 'object' || options === null || namesFlags(options))
        return Reflect.construct(target, args, newTarget);
      try {
        const given = Object.create(options, { execArgv: { value: [...flags], enumerable: true } });
        return Reflect.construct(target, [file, given], newTarget);
      } catch (error) {
        // The operator's own flags may be such that a thread can only inherit them.
        if ((error as NodeJS.ErrnoException).code !== 'ERR_WORKER_INVALID_EXEC_ARGV') throw error;
        return Reflect.construct(target, args, newTarget);
      }
    },
  });
  Worker.prototype.constructor = started;
  threads.Worker = started;
  if (threads === workerThreads) syncBuiltinESMExports();
}

function namesFlags(options: object): boolean {
  return 'execArgv' in options && Boolean(options.execArgv);
}
