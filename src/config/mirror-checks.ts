import type { Problem } from '../errors.js';
import { settingOf } from '../settings/settings.js';
import { type Check, type CheckInput, problem } from './check.js';

export const mirrorKeys = [
  'reload.mirror',
  'reload.mirror_routes',
  'reload.mirror_credentials',
  'reload.mirror_rate',
  'reload.mirror_requests',
  'reload.mirror_time',
  'reload.mirror_differences',
] as const;

/** What `[reload] mirror` needs of other settings. */
export const mirrorChecks: readonly Check[] = [
  { reads: ['dispatch', 'reload.mirror'], check: canaryCanWait },
  ...mirrorKeys.filter((key) => key !== 'reload.mirror').map(onlyWithMirror),
  {
    reads: ['reload.mirror', 'reload.mirror_rate', 'reload.mirror_requests', 'reload.mirror_time'],
    check: mirrorHasTime,
  },
  { reads: ['reload.mirror', 'reload.mirror_routes'], check: mirrorHasRoutes },
];

/** As a spare does. */
function canaryCanWait({ values }: CheckInput): Problem | null {
  if (values['reload.mirror'].value !== 'safe' || values.dispatch.value !== 'reuseport') return null;
  return problem(values, 'reload.mirror', `off with dispatch reuseport (from ${values.dispatch.source})`);
}

function onlyWithMirror(key: (typeof mirrorKeys)[number]): Check {
  return {
    reads: ['reload.mirror', key],
    check: ({ values }) => {
      const { 'reload.mirror': mirror, [key]: found } = values;
      const isDefault = JSON.stringify(found.value) === JSON.stringify(settingOf(key).default);
      if (mirror.value === 'safe' || found.state !== 'given' || isDefault) return null;
      return problem(values, key, 'reload.mirror = "safe" beside it: nothing is mirrored otherwise');
    },
  };
}

/** The first seconds warm the canary up, and do not count. */
const warmUpSeconds = 2;

function mirrorHasTime({ values }: CheckInput): Problem | null {
  const {
    'reload.mirror': mirror,
    'reload.mirror_rate': rate,
    'reload.mirror_requests': requests,
    'reload.mirror_time': time,
  } = values;
  if (mirror.value !== 'safe') return null;
  const most = Math.floor(rate.value * (time.value / 1_000 - warmUpSeconds));
  if (requests.value <= most) return null;
  return problem(
    values,
    'reload.mirror_requests',
    `at most ${most}: reload.mirror_rate (${rate.value} a second) allows no more within reload.mirror_time, of which ${warmUpSeconds} s warm the canary up`,
  );
}

/** A path that is left out need not be allowed; but one that is allowed and left out never is. */
function mirrorHasRoutes({ values }: CheckInput): Problem | null {
  const routes: readonly string[] = values['reload.mirror_routes'].value;
  const twice = routes.find((route) => route.startsWith('!') && routes.includes(route.slice(1)));
  if (twice === undefined) return null;
  return problem(
    values,
    'reload.mirror_routes',
    `${JSON.stringify(twice.slice(1))} either with "!" or without, not both`,
  );
}
