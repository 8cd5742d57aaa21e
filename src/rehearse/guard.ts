import { spawn } from 'node:child_process';

/** Ends a sandbox whose rehearsal was killed, with whatever runs in it. */
export interface Guard {
  /** A process was started that leads a group of its own. */
  watch(pid: number): void;
  /** It has ended. */
  forget(pid: number): void;
  /** The rehearsal has ended the sandbox itself. */
  dismiss(): void;
}

/**
 * A shell whose input ends when the rehearsal dies, for whatever reason: the master's reaper would let workers drain, and knows
 * of no daemon that lives on. On Linux it finds what runs in the sandbox by its environment, also what has left its group; pass
 * after pass, since what is found may start others meanwhile. Elsewhere it kills the groups that it was told of (`+pid`, `-pid`).
 */
const script = `
trap '' INT TERM HUP
groups=' '
while read -r line; do
  pid=\${line#?}
  case $line in
    +*) groups="$groups$pid " ;;
    -*) case $groups in *" $pid "*) groups="\${groups%%" $pid "*} \${groups#*" $pid "}" ;; esac ;;
    .) exit 0 ;;
  esac
done
if [ -d /proc/self ]; then
  for pass in 1 2 3 4 5; do
    found=
    for entry in /proc/[0-9]*; do
      if tr '\\0' '\\n' < "$entry/environ" 2>/dev/null | grep -qxF "$1=$2"; then
        kill -KILL "\${entry#/proc/}" 2>/dev/null && found=yes
      fi
    done
    [ -z "$found" ] && break
  done
else
  for pid in $groups; do kill -KILL -- "-$pid" 2>/dev/null; done
fi
rm -rf "$2"
`;

/** @param sandbox the variable that names the sandbox to the processes in it, and its folder */
export function startGuard(sandbox: { readonly variable: string; readonly folder: string }): Guard {
  // The script is in the environment, so that `ps` shows a readable line. A session of its own: Ctrl-C is the rehearsal's alone.
  const shell = spawn(
    '/bin/sh',
    ['-c', 'eval "$ROM_AGENT_GUARD"', 'rom-agent-rehearsal-guard', sandbox.variable, sandbox.folder],
    {
      stdio: ['pipe', 'ignore', 'ignore'],
      env: { PATH: process.env.PATH ?? '/usr/bin:/bin', ROM_AGENT_GUARD: script },
      detached: true,
    },
  );
  // Without a shell there is no guard. The rehearsal ends its sandbox itself, unless it is killed.
  shell.on('error', () => {});
  shell.stdin.on('error', () => {});
  shell.unref();
  (shell.stdin as unknown as { unref(): void }).unref();
  const tell = (line: string): void => void shell.stdin.write(`${line}\n`);
  return {
    watch: (pid) => tell(`+${pid}`),
    forget: (pid) => tell(`-${pid}`),
    dismiss: () => tell('.'),
  };
}
