import type { Problem } from '../errors.js';
import { cellSuffixLength } from '../protocol/cell.js';
import { settingOf } from '../settings/settings.js';
import { type Check, type CheckInput, problem } from './check.js';

export const cellKeys = [
  'poison.cell',
  'poison.cell_requests',
  'poison.cell_timeout',
  'poison.cell_memory',
] as const;

/** What `[poison] cell` needs of other settings. */
export const cellChecks: readonly Check[] = [
  { reads: ['poison.cell', 'poison.deaths', 'poison.block'], check: somethingIsKeptOut },
  ...(['poison.cell_requests', 'poison.cell_timeout'] as const).map(onlyWithCell),
  { reads: ['poison.cell', 'control_socket'], check: socketFits },
];

function somethingIsKeptOut({ values }: CheckInput): Problem | null {
  const { 'poison.cell': cell, 'poison.deaths': deaths, 'poison.block': block } = values;
  if (cell.value === 'off') return null;
  if (deaths.value === 0)
    return problem(
      values,
      'poison.cell',
      `off with poison.deaths = 0 (from ${deaths.source}): nothing is ever suspected`,
    );
  if (block.value > 0) return null;
  return problem(
    values,
    'poison.cell',
    'poison.block beside it, such as "10m": it says for how long requests of a suspected kind go to the cell',
  );
}

function onlyWithCell(key: (typeof cellKeys)[number]): Check {
  return {
    reads: ['poison.cell', key],
    check: ({ values }) => {
      const { 'poison.cell': cell, [key]: found } = values;
      if (cell.value === 'on' || found.state !== 'given' || found.value === settingOf(key).default)
        return null;
      return problem(values, key, 'poison.cell = "on" beside it: there is no cell otherwise');
    },
  };
}

/** The cell's socket is beside the control socket: see cellSocketOf. */
function socketFits({ values, platform }: CheckInput): Problem | null {
  const { 'poison.cell': cell, control_socket: control } = values;
  const most = (platform === 'darwin' ? 103 : 107) - cellSuffixLength;
  if (cell.value === 'off' || control.value === null || Buffer.byteLength(control.value) <= most) return null;
  return problem(
    values,
    'control_socket',
    `a path of at most ${most} bytes with poison.cell, whose socket is beside it; this one has ${Buffer.byteLength(control.value)}`,
  );
}
