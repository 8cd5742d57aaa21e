/** Of /proc/PID/stat. */
export interface ProcStat {
  readonly name: string;
  /** R runs or would, S sleeps, D is in the kernel and cannot be disturbed, T is stopped, Z is a zombie. */
  readonly state: string;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
}

/** proc_pid_stat(5): the name is in parentheses and may hold spaces and parentheses itself. */
export function parseProcStat(text: string): ProcStat {
  const end = text.lastIndexOf(')');
  const [state = '', parent, group, session] = text.slice(end + 2).split(' ');
  return {
    name: text.slice(text.indexOf('(') + 1, end),
    state,
    parent: Number(parent),
    group: Number(group),
    session: Number(session),
  };
}
