import { inUnit } from '../changes.js';
import type { Facts } from '../facts.js';
import { type Check, type Outcome, ok, problem, unknown, warning } from '../finding.js';

/** File descriptors: each connection is one, in the process that serves it. */
export const descriptorChecks: readonly Check[] = [limit, kernelLimit];

/** Below it a worker cannot even take what the kernel keeps waiting for it (511), with a backend connection for each. */
const least = 1_024;
/** What every macOS allows, and the plist asks for. */
const plenty = 10_240;

function limit({ descriptors: { limit, of }, systemd, platform }: Facts): readonly Outcome[] {
  if (platform === 'darwin') return [];
  if (limit === null) return [unknown('open files', `the limit of ${of} cannot be read`)];
  const unit = systemd?.unit ?? null;
  const shell = 'ulimit -Hn 524288 before the start, as root; or LimitNOFILE= of what starts it';
  const change = unit === null ? shell : inUnit(unit.name, 'LimitNOFILE=524288');
  const found = `${Number.isFinite(limit) ? limit : 'any number'} (${of}), in each process`;
  if (limit < least)
    return [problem('open files', `${found}: too few for the connections of a busy second`, change)];
  if (limit < plenty)
    return [warning('open files', `${found}: no more connections than that, a worker`, change)];
  return [ok('open files', found)];
}

/** Above it setrlimit(2) fails; systemd then takes the highest that it can have. */
function kernelLimit({ systemd, sysctl }: Facts): readonly Outcome[] {
  const unit = systemd?.unit ?? null;
  const most = Number(sysctl('fs.nr_open') ?? Number.NaN);
  if (unit === null || Number.isNaN(most)) return [];
  const { descriptors, name } = unit;
  if (!Number.isFinite(descriptors) || descriptors <= most)
    return [ok('fs.nr_open', `${most}, above LimitNOFILE=`)];
  const change = `fs.nr_open = ${descriptors} in /etc/sysctl.d/rom-agent.conf; or ${inUnit(name, `LimitNOFILE=${most}`)}`;
  return [warning('fs.nr_open', `${most}, and LimitNOFILE= asks for ${descriptors}`, change)];
}
