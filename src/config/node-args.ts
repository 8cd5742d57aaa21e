import { spawnSync } from 'node:child_process';

/** Flags with which Node does something else than run the app. */
const elsewhere = new Set(
  (
    '-e --eval -p --print -pe -c --check -i --interactive -v --version -h --help --v8-options --test --watch --watch-path ' +
    '--run --build-snapshot --build-snapshot-config --experimental-sea-config --prof-process --completion-bash'
  ).split(' '),
);

/** Flags that a setting stands for. */
const settingFor: Readonly<Record<string, string>> = {
  'max-old-space-size': 'max_old_space_size',
  'max-semi-space-size': 'max_semi_space_size',
  'min-semi-space-size': 'max_semi_space_size',
};

/** Whether it looks like a flag of Node with which an app runs: `--name`, `--name=value`, `-x`. */
export function isNodeFlag(flag: string): boolean {
  return /^-(-[\w-]*\w(=.*)?|\w+)$/s.test(flag) && !elsewhere.has(nameOf(flag));
}

/** The setting by which the same is said, for flags that rom-agent itself gives to workers; null for the others. */
export function settingInstead(flag: string): string | null {
  return settingFor[nameOf(flag).replace(/^--/, '').replaceAll('_', '-')] ?? null;
}

/** What this Node has against the flags: `bad option: --foo`; null: nothing. Takes a start of Node, without any script. */
export function rejectionOf(flags: readonly string[]): string | null {
  const { status, stderr } = spawnSync(process.execPath, ['--version', ...flags], {
    encoding: 'utf8',
    timeout: 10_000,
  });
  if (status === 0 || status === null) return null;
  return (stderr.trim().split('\n')[0] ?? '').replace(/^[^:]*: /, '');
}

/** The heap limit that an operator has asked for by NODE_OPTIONS, MiB; null: none. */
export function heapLimitIn(nodeOptions: string | undefined): number | null {
  const found = [...(nodeOptions ?? '').matchAll(/--max[-_]old[-_]space[-_]size[= ](\d{1,9})(?=\s|"|$)/g)];
  const last = found.at(-1)?.[1];
  return last === undefined ? null : Number(last);
}

function nameOf(flag: string): string {
  return flag.replace(/=.*/s, '');
}
