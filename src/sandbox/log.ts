import { commandOf, type Refusal, type Remedy, remedyFor, type Sandbox } from './remedies.js';

/** Something that the sandbox has refused, as the log of a service tells of it. */
export interface Told extends Remedy {
  /** The line that tells. */
  readonly quote: string;
  readonly times: number;
  /** Whether a worker ended by it. */
  readonly isFatal: boolean;
}

/**
 * Reads a service's log for what its sandbox has refused: the hints of workers that ended by it, and the errors that an
 * app, its addons and its children write themselves. One of a kind, the first line of it.
 */
export function refusalsIn(messages: readonly string[], unit: string, sandbox: Sandbox): readonly Told[] {
  const found = new Map<string, Told>();
  for (const told of messages.flatMap((message) => toldIn(message, unit, sandbox))) {
    const key = `${told.directive} ${told.lines.join()}`;
    const known = found.get(key);
    const isFatal = told.isFatal || (known?.isFatal ?? false);
    found.set(key, { ...(known ?? told), isFatal, times: (known?.times ?? 0) + 1 });
  }
  return [...found.values()];
}

/** A message with a hint has the same error once more, in the stack below it. */
function toldIn(message: string, unit: string, sandbox: Sandbox): readonly Told[] {
  const lines = message.split('\n');
  const hints = lines.flatMap((line) => hintIn(line, unit, sandbox) ?? []);
  return hints.length > 0 ? hints : lines.flatMap((line) => refusalIn(line, sandbox) ?? []);
}

/** A worker's failure ends with it: sandboxHint() of the worker. Behind it are fields of the log. */
function hintIn(line: string, unit: string, sandbox: Sandbox): Told | null {
  const [before = '', after] = line.split(`: ${commandOf({ lines: [] }, unit)}`);
  if (after === undefined) return null;
  const [, quote = '', why = ''] = /^(?:(.*); )?(.*)$/.exec(before) ?? [];
  const lines = (after.split(/ [a-z]\w*=|"/)[0] ?? '').split(', ');
  const directive = /\b([A-Z]\w+)= (?:of the unit|makes)/.exec(why)?.[1] ?? lines.at(-1)?.split('=')[0] ?? '';
  // From outside the group of a file can be seen, for which the worker had to leave a word.
  const own = lines.some((setting) => setting.endsWith('=GROUP')) ? remedyOf(refusalOf(line), sandbox) : null;
  return { directive, why, lines, ...own, quote, times: 1, isFatal: true };
}

function refusalIn(line: string, sandbox: Sandbox): Told | null {
  const remedy = inWords(line) ?? remedyOf(refusalOf(line), sandbox);
  if (remedy === null) return null;
  // A worker that ended by it says why, too.
  return { ...remedy, quote: line.trim(), times: 1, isFatal: line.includes(`; ${remedy.why}`) };
}

function remedyOf(refusal: Refusal | null, sandbox: Sandbox): Remedy | null {
  return refusal === null ? null : remedyFor(refusal, sandbox);
}

/** What Node's errors look like in a log. */
function refusalOf(line: string): Refusal | null {
  const [, code, syscall, path] = /\b(E[A-Z]+): [^,']*, (?:(\w+) )?'([^']+)'/.exec(line) ?? [];
  if (code !== undefined && path !== undefined)
    return { code, path, message: line, ...(syscall === undefined ? {} : { syscall }) };
  const net =
    /\b(connect|listen|bind) (E[A-Z]+)(?:: [a-z ]*)? (\/[^\s;,)]+|[^\s;,)/]*?)(?::(\d+))?(?=[\s;,)]|$)/.exec(
      line,
    );
  if (net !== null) {
    const [, call = '', error = '', address = '', port] = net;
    return {
      code: error,
      syscall: call,
      address,
      message: line,
      ...(port === undefined ? {} : { port: Number(port) }),
    };
  }
  const [, own, ownCode] = /\b(uv_\w+) returned (E[A-Z]+|Unknown)/.exec(line) ?? [];
  if (own !== undefined && ownCode !== undefined) return { code: ownCode, syscall: own, message: line };
  if (/\bspawn \S* ?EAGAIN\b/.test(line)) return { code: 'EAGAIN', syscall: 'spawn', message: line };
  if (/\bCannot find (?:module|package) '/.test(line)) return { code: 'MODULE_NOT_FOUND', message: line };
  return null;
}

/** What programs beside Node say, each in its own words. */
const words: readonly (readonly [RegExp, Remedy])[] = [
  [
    /Failed to move to new namespace|No usable sandbox|\bunshare failed: Operation not permitted|clone\(\).*Operation not permitted/,
    {
      directive: 'RestrictNamespaces',
      why: "RestrictNamespaces= of the unit allows no namespaces, such as a browser's own sandbox is made of",
      lines: ['RestrictNamespaces=user pid net', 'SystemCallFilter=@mount chroot'],
    },
  ],
  [
    /no new privileges.{0,3} flag is set/,
    {
      directive: 'NoNewPrivileges',
      why: 'NoNewPrivileges= of the unit keeps sudo and its like from any right: what needs one belongs into a unit of its own',
      lines: [],
    },
  ],
  [
    /\bended by SIGSYS\b|\bBad system call\b/,
    {
      directive: 'SystemCallErrorNumber',
      why: 'SystemCallFilter= of a drop-in kills for a call that it refuses (journalctl -k names it after "syscall=")',
      lines: ['SystemCallErrorNumber=EPERM'],
    },
  ],
  [
    /Address family not supported by protocol/,
    {
      directive: 'RestrictAddressFamilies',
      why: 'RestrictAddressFamilies= of the unit allows no such socket',
      lines: ['RestrictAddressFamilies=with the family that is missing'],
    },
  ],
  [
    /\bping: .*Operation not permitted|\bsocket: Operation not permitted|raw socket.*not permitted/i,
    {
      directive: 'CapabilityBoundingSet',
      why: 'CapabilityBoundingSet= of the unit leaves no right to raw sockets',
      lines: [
        'PrivateUsers=no',
        'CapabilityBoundingSet=CAP_NET_RAW',
        'AmbientCapabilities=CAP_NET_RAW',
        'RestrictAddressFamilies=AF_PACKET',
      ],
    },
  ],
  [
    /Check failed: .*SetPermissions|Fatal process out of memory: .*(?:CodeRange|SetPermissions|code range)/i,
    {
      directive: 'MemoryDenyWriteExecute',
      why: 'MemoryDenyWriteExecute= of a drop-in takes from V8 the memory that it compiles to',
      lines: ['MemoryDenyWriteExecute=no'],
    },
  ],
];

function inWords(line: string): Remedy | null {
  return words.find(([pattern]) => pattern.test(line))?.[1] ?? null;
}
