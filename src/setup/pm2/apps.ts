import { basename, extname, resolve } from 'node:path';
import { isRecord } from '../../config/package.js';
import { canonicalName, keyOf } from './keys.js';

/** An app as PM2 has it, under PM2's own names, whether it stood in a file or runs. */
export interface Pm2App {
  readonly name: string;
  /** By the names of PM2's schema, aliases resolved. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The directory that PM2 starts it in. */
  readonly cwd: string;
  /** The processes that PM2 runs of it now; null: PM2 was not asked. */
  readonly pids: readonly number[] | null;
}

export interface Ecosystem {
  readonly apps: readonly Pm2App[];
  /** Sections beside the apps, such as `deploy`. */
  readonly sections: readonly string[];
}

/** What an ecosystem file holds: `{apps: [...]}`, a list of apps, or one app. `base`: where PM2 would start them. */
export function appsOfFile(content: unknown, base: string): Ecosystem | null {
  if (!isRecord(content) && !Array.isArray(content)) return null;
  const outer: Readonly<Record<string, unknown>> = Array.isArray(content) ? { apps: content } : content;
  const holder = ['apps', 'pm2'].find((name) => outer[name] !== undefined);
  const listed = holder === undefined ? [outer] : [outer[holder]].flat();
  const sections = holder === undefined ? [] : Object.keys(outer).filter((name) => name !== holder);
  return { apps: listed.filter(isRecord).map((raw) => appOf(raw, base)), sections };
}

/** What `pm2 jlist` and dump.pm2 hold: one entry for each process. */
export function appsOfList(content: unknown, home: string): Ecosystem | null {
  if (!Array.isArray(content)) return null;
  const processes = content.filter(isRecord).map((entry): Listed => {
    // jlist wraps what the dump has at the top.
    const env = isRecord(entry.pm2_env) ? entry.pm2_env : entry;
    return { env, pid: isRecord(entry.pm2_env) ? Number(entry.pid) || 0 : null };
  });
  // Modules of PM2 itself, such as pm2-logrotate, are no apps.
  const names = [
    ...new Set(processes.filter(({ env }) => env.pmx_module !== true).map(({ env }) => String(env.name))),
  ];
  const apps = names.map((name) => {
    const own = processes.filter(({ env }) => String(env.name) === name);
    return appOfProcesses(name, own, home);
  });
  return { apps, sections: [] };
}

interface Listed {
  readonly env: Readonly<Record<string, unknown>>;
  /** null: a dump does not say. 0: it does not run. */
  readonly pid: number | null;
}

function appOf(raw: Readonly<Record<string, unknown>>, base: string): Pm2App {
  const config: Record<string, unknown> = {};
  // The name itself counts before an alias.
  for (const [key, value] of Object.entries(raw)) {
    const name = canonicalName(key);
    if (value !== undefined && value !== null && (name === key || config[name] === undefined))
      config[name] = value;
  }
  const script = typeof config.script === 'string' ? config.script : '';
  const name = String(config.name ?? basename(script, extname(script)));
  const cwd = typeof config.cwd === 'string' ? resolve(base, config.cwd) : base;
  return { name, config, cwd, pids: null };
}

function appOfProcesses(name: string, processes: readonly Listed[], home: string): Pm2App {
  const first = processes[0]?.env ?? {};
  const { pm_exec_path, pm_cwd } = first;
  const config: Record<string, unknown> = { name, script: pm_exec_path };
  for (const [key, value] of Object.entries(first)) {
    if (keyOf(key) !== null && !(key in config) && isSaid(key, value)) config[key] = value;
  }
  for (const [key, from] of logPaths) {
    const path = first[from];
    if (typeof path === 'string' && !path.startsWith(`${home}/`)) config[key] = path;
  }
  if (isRecord(first.env)) config.env = ownVariables(first.env, first);
  config.instances = processes.length;
  const pids = processes.flatMap(({ pid }) => (pid === null || pid === 0 ? [] : [pid]));
  const cwd = typeof pm_cwd === 'string' ? pm_cwd : '/';
  return { name, config, cwd, pids: processes.every(({ pid }) => pid === null) ? null : pids };
}

const logPaths = [
  ['out_file', 'pm_out_log_path'],
  ['error_file', 'pm_err_log_path'],
] as const;

/** PM2 lists each process with all of its defaults, which nobody asked for. */
function isSaid(key: string, value: unknown): boolean {
  if (value === undefined || value === null || /^env(_|$)/.test(key)) return false;
  if (Array.isArray(value) && value.length === 0) return false;
  const usual = defaults[key];
  return usual === undefined || JSON.stringify(value) !== JSON.stringify(usual);
}

const defaults: Readonly<Record<string, unknown>> = {
  vizion: true,
  autostart: true,
  autorestart: true,
  instance_var: 'NODE_APP_INSTANCE',
  pmx: true,
  automation: true,
  treekill: true,
  windowsHide: true,
  kill_retry_time: 100,
  namespace: 'default',
  merge_logs: true,
  watch: false,
  exec_interpreter: 'node',
};

/** What the app was given: not what every shell has, and what PM2 adds. */
function ownVariables(
  env: Readonly<Record<string, unknown>>,
  around: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const isOwn = (name: string, value: unknown): boolean => {
    if (ofSession.test(name) || name === around.name) return false;
    return typeof value !== 'object' && /^[A-Za-z_]\w*$/.test(name);
  };
  return Object.fromEntries(Object.entries(env).filter(([name, value]) => isOwn(name, value)));
}

/** Variables that a login, a shell, sudo, npm, a version manager or PM2 itself sets: environ(7). */
const ofSession =
  /^(PATH|PWD|OLDPWD|HOME|SHELL|SHLVL|USER|LOGNAME|USERNAME|MAIL|TERM|TERM_PROGRAM.*|COLORTERM|COLUMNS|LINES|LS_COLORS|LESS.*|PAGER|EDITOR|VISUAL|HOSTNAME|HISTCONTROL|HIST.*|PS1|_|LANG|LANGUAGE|LC_.*|XDG_.*|DBUS_.*|SSH_.*|SUDO_.*|GPG_.*|DISPLAY|INVOCATION_ID|JOURNAL_STREAM|SYSTEMD_.*|MANAGERPID|NOTIFY_SOCKET|MOTD_SHOWN|WINDOWID|npm_.*|INIT_CWD|NODE_APP_INSTANCE|NVM_.*|FNM_.*|VOLTA_.*|PM2_.*|pm_.*|unique_id|io|S_COLORS|DEBIAN_FRONTEND|XAUTHORITY|STY|TMUX.*)$/;
