import { spawn } from 'node:child_process';

/** Kills workers that survive the master, also stopped or spinning ones. */
export interface Reaper {
  watch(pid: number): void;
  forget(pid: number): void;
  /** The master ends with no worker left. */
  dismiss(): void;
}

/**
 * A shell that reads `+pid` and `-pid`. Its input ends when the master dies, for whatever reason. It then gives the remaining
 * workers some time and kills them. It compares start times, so that it never kills a process that reuses a PID. A shell
 * costs less than a megabyte and needs no runtime of its own.
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

/** @param limit how long workers may take to end by themselves, ms; rounded up to whole seconds */
export function startReaper({ limit }: { limit: number }): Reaper {
  const untold: string[] = [];
  let tell = (line: string): void => void untold.push(line);
  // Later: a shell takes some milliseconds to start, and the workers start first.
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
  // The script is in the environment, so that `ps` shows a readable line.
  const shell = spawn('/bin/sh', ['-c', 'eval "$ROM_AGENT_REAPER"', 'rom-agent-reaper', seconds], {
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { PATH: process.env.PATH ?? '/usr/bin:/bin', ROM_AGENT_REAPER: script },
  });
  // Without a shell there is no reaper. Healthy workers still notice that the master is gone.
  shell.on('error', () => {});
  shell.stdin.on('error', () => {});
  shell.unref();
  (shell.stdin as unknown as { unref(): void }).unref();
  return (line) => void shell.stdin.write(`${line}\n`);
}

export const noReaper: Reaper = { watch: () => {}, forget: () => {}, dismiss: () => {} };
