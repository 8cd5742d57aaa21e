import { spawn } from 'node:child_process';

/** Sees to it that no worker survives the master, not even a stopped or spinning one. */
export interface Reaper {
  watch(pid: number): void;
  forget(pid: number): void;
  /** The master ends in good order: nothing to reap. */
  dismiss(): void;
}

/**
 * A shell that reads `+pid` and `-pid`. At the end of its input, which is the master's death however it came, it gives
 * the workers that are left some time and then kills them. It knows a process by its start time, so that a PID that
 * went to somebody else is left alone. A shell, because it costs under a megabyte and needs no runtime of its own.
 */
const script = `
trap '' INT TERM HUP
birth() {
  if [ -r "/proc/$1/stat" ]; then
    read -r line < "/proc/$1/stat" 2>/dev/null || return 0
    set -- \${line##*) }
    echo "\${20}"
  elif [ ! -d /proc/self ]; then
    ps -o lstart= -p "$1" 2>/dev/null
  fi
}
alive=' '
while read -r line; do
  pid=\${line#?}
  case $line in
    +*) born=$(birth "$pid"); alive="$alive$pid=$(printf %s "$born" | tr ' ' _) " ;;
    -*) case $alive in *" $pid="*) rest=\${alive#*" $pid="}; alive="\${alive%%" $pid="*} \${rest#* }" ;; esac ;;
    .) exit 0 ;;
  esac
done
left=$1
while [ "$left" -ge 0 ]; do
  some=
  for entry in $alive; do
    [ "$(birth "\${entry%%=*}" | tr ' ' _)" = "\${entry#*=}" ] && some="$some \${entry%%=*}"
  done
  [ -z "$some" ] && exit 0
  [ "$left" -eq 0 ] && kill -KILL $some
  left=$((left - 1))
  sleep 1
done
`;

/** @param limit what workers may take to end by themselves, ms; rounded up to whole seconds */
export function startReaper({ limit }: { limit: number }): Reaper {
  const untold: string[] = [];
  let tell = (line: string): void => void untold.push(line);
  // Not at once: starting a shell takes some milliseconds, which the workers need more.
  setImmediate(() => {
    tell = spawnShell(limit);
    for (const line of untold) tell(line);
  });
  return {
    watch: (pid) => tell(`+${pid}`),
    forget: (pid) => tell(`-${pid}`),
    dismiss: () => tell('.'),
  };
}

function spawnShell(limit: number): (line: string) => void {
  const seconds = String(Math.ceil(limit / 1000));
  // By way of the environment, so that the process has a line in `ps` that a person can read.
  const shell = spawn('/bin/sh', ['-c', 'eval "$ROM_AGENT_REAPER"', 'rom-agent-reaper', seconds], {
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { PATH: process.env.PATH ?? '/usr/bin:/bin', ROM_AGENT_REAPER: script },
  });
  // Without a shell there is no reaper; healthy workers still notice the loss of the master themselves.
  shell.on('error', () => {});
  shell.stdin.on('error', () => {});
  shell.unref();
  (shell.stdin as unknown as { unref(): void }).unref();
  return (line) => void shell.stdin.write(`${line}\n`);
}

export const noReaper: Reaper = { watch: () => {}, forget: () => {}, dismiss: () => {} };
