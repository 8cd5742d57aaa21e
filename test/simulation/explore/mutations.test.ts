import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { checked } from '../scaling/model.js';
import type { PolicyPart } from '../sim-policy.js';
import { brokenModules } from './broken.js';
import { explore } from './explorer.js';
import { type Mutation, mutations } from './mutations.js';
import { mutationsOfHealth } from './mutations-of-health.js';
import { mutationsOfMirror } from './mutations-of-mirror.js';
import { mutationsOfPace, mutationsOfScaling } from './mutations-of-scaling.js';
import {
  type Budget,
  type Core,
  explorePolicy,
  mirroredReload,
  nothing,
  serving,
  Violation,
} from './world.js';

interface Campaign {
  readonly budget: Partial<Budget>;
  readonly depth: number;
  readonly workers?: number;
  readonly policy?: PolicyPart;
}

/** Ever more of the world, until the fault is met. */
const campaigns: readonly Campaign[] = [
  { budget: { reloads: 1, crashes: 1, scales: 1 }, depth: 3 },
  { budget: { reloads: 2 }, depth: 5 },
  { budget: { reloads: 1, crashes: 1 }, depth: 5 },
  { budget: { reloads: 1, crashes: 1, hangs: 1, restarts: 1 }, depth: 5 },
];
const spares = 1;
const campaignsOfHealth: readonly Campaign[] = [
  { budget: { crashes: 1, restarts: 1 }, depth: 4, policy: { spares } },
  { budget: { hangs: 2, recoveries: 1 }, depth: 7, workers: 1 },
  { budget: { hangs: 2 }, depth: 3, workers: 3, policy: { pingInterval: 1_000, hangTimeout: 4_000 } },
  { budget: { illnesses: 2 }, depth: 5, policy: { bootTimeout: 3_000 } },
  { budget: { illnesses: 1, reloads: 1 }, depth: 4 },
  { budget: { shortages: 2 }, depth: 5, workers: 3 },
  { budget: { reloads: 1, crashes: 1 }, depth: 4, policy: { spares } },
];

const scaling: PolicyPart = { workers: '1..3', scale: { target: 0.7, downAfter: 1_000 } };
const campaignsOfScaling: readonly Campaign[] = [
  { budget: { loads: 1, scales: 1 }, depth: 5, policy: scaling },
  { budget: { loads: 1, reloads: 1 }, depth: 5, policy: scaling },
  { budget: { loads: 1, restarts: 1 }, depth: 5, policy: { ...scaling, bootTimeout: 5_000 } },
  { budget: { scales: 1, reloads: 1 }, depth: 5, policy: { ...scaling, workers: '2..3' } },
  { budget: { loads: 1 }, depth: 9, policy: { ...scaling, workers: '2..3' } },
  { budget: { crashes: 2, scales: 1 }, depth: 5, workers: 1, policy: { ...scaling, workers: '1..2' } },
  { budget: { loads: 1, crashes: 2 }, depth: 9, workers: 1, policy: { ...scaling, workers: '1..2' } },
];

const campaignsOfMirror: readonly Campaign[] = [
  { budget: { reloads: 1 }, depth: 8, workers: 1, policy: mirroredReload },
  { budget: { reloads: 1, crashes: 1 }, depth: 6, policy: mirroredReload },
];

describe('the exploration finds a core in which', () => {
  const folder = mkdtempSync(join(tmpdir(), 'broken-core-'));
  after(() => rmSync(folder, { recursive: true, force: true }));

  const finds = (mutation: Mutation, ways: readonly Campaign[]) =>
    test(mutation.fault, async (context) => {
      const core = await broken(mutation, mkdtempSync(join(folder, 'core-')));
      const found = violation(core, ways);
      assert.ok(found !== undefined, 'nobody noticed');
      context.diagnostic(found);
    });
  for (const mutation of mutations) finds(mutation, campaigns);
  for (const mutation of mutationsOfHealth) finds(mutation, campaignsOfHealth);
  for (const mutation of mutationsOfScaling) finds(mutation, campaignsOfScaling);

  for (const mutation of mutationsOfMirror) finds(mutation, campaignsOfMirror);

  for (const mutation of mutationsOfPace) {
    test(mutation.fault, async (context) => {
      const load = brokenModules(mutation, mkdtempSync(join(folder, 'core-')));
      const [{ follow }, { freshTrend }] = await Promise.all([
        load('autoscale.js'),
        load('scaling-state.js'),
      ]);
      const found = checked({ follow, freshTrend });
      assert.notDeepEqual(found, [], 'nobody noticed');
      context.diagnostic(found.join('; '));
    });
  }

  test('nothing is wrong, not', async () => {
    const same = {
      fault: 'none',
      file: 'reload.js',
      text: 'return served && !left;',
      instead: 'return served && !left;',
    };
    const core = await broken(same, mkdtempSync(join(folder, 'same-')));
    assert.equal(
      violation(core, [...campaigns, ...campaignsOfHealth, ...campaignsOfScaling, ...campaignsOfMirror]),
      undefined,
    );
  });
});

async function broken(mutation: Mutation, folder: string): Promise<Core> {
  const load = brokenModules(mutation, folder);
  const [{ step, nextDeadline }, { initialState }] = await Promise.all([load('step.js'), load('state.js')]);
  return { step, nextDeadline, initialState };
}

/** The shortest way to something that does not hold; undefined where nothing was found. */
function violation(core: Core, ways: readonly Campaign[]): string | undefined {
  for (const { budget, depth, workers = 2, policy: more } of ways) {
    const policy = explorePolicy(workers, more);
    try {
      const root = serving(core, { left: { ...nothing, ...budget }, policy });
      explore({ core, policy, root, depth, beyondStop: false });
    } catch (error) {
      if (error instanceof Violation) return error.message;
      throw error;
    }
  }
  return undefined;
}
