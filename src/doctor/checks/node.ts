import type { Facts } from '../facts.js';
import { type Check, type Outcome, ok, problem, unknown, warning } from '../finding.js';

export const nodeChecks: readonly Check[] = [whichNode, version, addon];

/** The last day with security fixes: nodejs/Release, schedule.json. */
const ends: Readonly<Record<number, string>> = {
  18: '2025-04-30',
  19: '2023-06-01',
  20: '2026-04-30',
  21: '2024-06-01',
  22: '2027-04-30',
  23: '2025-06-01',
  24: '2028-04-30',
  25: '2026-06-01',
  26: '2029-04-30',
};

interface Gain {
  readonly what: string;
  readonly in: (version: Version) => boolean;
}

/** What a newer one would give. */
const gains: readonly Gain[] = [
  { what: 'dispatch reuseport (22.12)', in: (v) => atLeast(v, 22, 12) && !(v.major === 23 && v.minor < 1) },
  { what: 'a compile cache, for faster starts (22.1)', in: (v) => atLeast(v, 22, 1) },
  {
    what: 'apps in TypeScript as they are (22.18)',
    in: (v) => atLeast(v, 22, 18) && !(v.major === 23 && v.minor < 6),
  },
];

interface Version {
  readonly major: number;
  readonly minor: number;
}

function whichNode({ node: { isUnitsNode, path, unitPath }, systemd }: Facts): readonly Outcome[] {
  if (isUnitsNode) return [];
  const found = `${systemd?.name} runs ${unitPath}, and this is ${path}: what is below is about this one`;
  return [
    unknown('which one', found, `sudo ${unitPath} with the path of rom-agent's dist/cli/main.js, and doctor`),
  ];
}

function version({ node, now }: Facts): readonly Outcome[] {
  const running = parse(node.version);
  const lacks = gains.filter((gain) => !gain.in(running)).map(({ what }) => what);
  const more = lacks.length === 0 ? '' : `; a newer one has ${lacks.join(', ')}`;
  const newer = `Node ${newestSupported(now)}: https://nodejs.org/en/download`;
  if (!atLeast(running, 20, 19))
    return [problem('version', `${node.version}, and rom-agent needs 20.19${more}`, newer)];
  const end = ends[running.major];
  if (end === undefined || now <= Date.parse(`${end}T23:59:59Z`))
    return [ok('version', `${node.version}${more}`)];
  return [warning('version', `${node.version} has had no security fixes since ${end}${more}`, newer)];
}

/** Without it systemd is never told READY=1: a start is refused. */
function addon({ node: { addon, isUnitsNode }, systemd, platform }: Facts): readonly Outcome[] {
  if (platform !== 'linux') return [];
  if (!isUnitsNode)
    return [unknown('sd-notify', "it is built for one Node, and has to be loaded in the unit's")];
  if (addon === null) return [ok('sd-notify', 'it can be loaded: systemd hears of readiness and life')];
  const change =
    "sudo apt-get install libsystemd-dev g++ make python3, then in the project's clone npm ci with this Node, and sudo make install";
  const found = `it cannot be loaded (${addon})`;
  if (systemd?.unit != null)
    return [problem('sd-notify', `${found}: a start under systemd ends with 78`, change)];
  return [ok('sd-notify', `${found}, which matters under systemd only`)];
}

/** The oldest even one that still has a year; else the newest known. */
function newestSupported(now: number): number {
  const known = Object.entries(ends).filter(([major]) => Number(major) % 2 === 0);
  const good = known.find(([, end]) => Date.parse(end) - now > 365 * 86_400_000);
  return Number((good ?? known.at(-1))?.[0]);
}

function parse(text: string): Version {
  const [major = 0, minor = 0] = text.replace(/^v/, '').split('.').map(Number);
  return { major, minor };
}

function atLeast({ major, minor }: Version, wanted: number, wantedMinor: number): boolean {
  return major > wanted || (major === wanted && minor >= wantedMinor);
}
