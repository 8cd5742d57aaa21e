import type { Facts } from '../facts.js';
import type { Check, Outcome } from '../finding.js';
import type { ServiceUnit } from '../service-unit.js';

/** A check that looks at the unit, and at nothing where there is none. */
export function ofUnit(judge: (unit: ServiceUnit, facts: Facts) => Outcome | null): Check {
  return (facts) => {
    const unit = facts.systemd?.unit ?? null;
    const outcome = unit === null ? null : judge(unit, facts);
    return outcome === null ? [] : [outcome];
  };
}
