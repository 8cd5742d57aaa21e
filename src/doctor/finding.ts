import type { Facts } from './facts.js';
import type { ServiceUnit } from './units.js';

/** `unknown`: it could not be looked at, which says nothing about it. */
export type Verdict = 'ok' | 'warning' | 'problem' | 'unknown';

/** What one check says. */
export interface Outcome {
  /** What was looked at, in a word or two: a setting, a directive, a sysctl. */
  readonly check: string;
  readonly verdict: Verdict;
  /** What is there, and why that matters where it does. */
  readonly found: string;
  /** What to change, as it is to be written; null where nothing is. */
  readonly change: string | null;
}

/** An outcome in the report, under its subject. */
export interface Finding extends Outcome {
  readonly subject: string;
}

/** Pure: facts in, outcomes out; none where it has nothing to look at. */
export type Check = (facts: Facts) => readonly Outcome[];

export function ok(check: string, found: string): Outcome {
  return { check, verdict: 'ok', found, change: null };
}

export function warning(check: string, found: string, change: string | null): Outcome {
  return { check, verdict: 'warning', found, change };
}

export function problem(check: string, found: string, change: string | null): Outcome {
  return { check, verdict: 'problem', found, change };
}

export function unknown(check: string, found: string, change: string | null = null): Outcome {
  return { check, verdict: 'unknown', found, change };
}

/** How a line of a unit is changed for good. */
export function inUnit(unit: string, lines: string | readonly string[], section = 'Service'): string {
  return `sudo systemctl edit ${unit}: under [${section}] ${[lines].flat().join(', ')}`;
}

export function bySysctl(name: string, value: number | string): string {
  return `${name} = ${value} in /etc/sysctl.d/rom-agent.conf, then sudo sysctl --system`;
}

/** In the plist of launchd.plist(5). */
export function inPlist(key: string, value: string): string {
  return `<key>${key}</key> ${value}, then launchctl bootout and bootstrap`;
}

/** A check that looks at the unit, and at nothing where there is none. */
export function ofUnit(judge: (unit: ServiceUnit, facts: Facts) => Outcome | null): Check {
  return (facts) => {
    const unit = facts.systemd?.unit ?? null;
    const outcome = unit === null ? null : judge(unit, facts);
    return outcome === null ? [] : [outcome];
  };
}
