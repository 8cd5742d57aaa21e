import { accessSync, constants } from 'node:fs';

/**
 * Where this is process 1, of a container say, it inherits the children that others leave behind, and Node.js never waits
 * for those: each stays as a zombie. So a shell becomes process 1, which reaps every child, passes signals on to this
 * program as a child of its own, and ends with its status.
 *
 * Returns where that is not called for or cannot be: process.execve() came with Node 22.15 and 23.11; sockets that a
 * service manager passes in do not outlive it, and its messages would come from another process than it knows.
 *
 * @throws where the kernel refuses: Node ends the process then, so that the shell is looked for first
 */
export function letShellReap({ pid, env, argv, execArgv, execPath }: NodeJS.Process = process): void {
  if (pid !== 1 || reapsNot(env)) return;
  const { execve } = process as unknown as { execve?: Execve };
  // Written in the next tick, if there were one.
  execve?.call(process, shell, ['sh', '-c', init, 'rom-agent', execPath, ...execArgv, ...argv.slice(1)], env);
}

/** Why zombies stay where this process cannot wait for others' children itself, with what to do; null where they do not. */
export function whyZombies({ pid, env }: NodeJS.Process = process): string | null {
  if (pid !== 1) return null;
  const why = reapsNot(env) ?? 'no shell took its place';
  return `process 1 is rom-agent itself, and children that outlive their parents will stay as zombies: ${why}, and koffi cannot be loaded; start the container with an init (docker run --init)`;
}

type Execve = (file: string, args: readonly string[], env: NodeJS.ProcessEnv) => never;

const shell = '/bin/sh';

/**
 * `wait` returns for a signal too: then the program is still there, if only as a zombie that `wait` has not taken yet.
 * A signal that comes before there is a program is kept for it.
 */
const init = `for signal in HUP INT QUIT USR1 USR2 TTIN TTOU TERM; do
  trap "last=$signal; [ -z \\"\\$child\\" ] || kill -$signal \\$child" $signal
done
"$@" &
child=$!
[ -z "$last" ] || kill -$last $child
while wait $child; status=$?; kill -0 $child 2>/dev/null; do :; done
exit $status
`;

function reapsNot(env: NodeJS.ProcessEnv): string | null {
  if (!('execve' in process))
    return `Node.js ${process.versions.node} reaps its own children only (from 22.15 on a shell takes its place)`;
  if ((env.LISTEN_FDS ?? env.NOTIFY_SOCKET) !== undefined) return 'it is known to a service manager as that';
  try {
    accessSync(shell, constants.X_OK);
  } catch {
    return `there is no ${shell}`;
  }
  return null;
}
