import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { type HostedApp, hostedApps } from './catalogue.js';
import { patience } from './clients.js';
import { type Installed, install, type SetName } from './install.js';
import { Life } from './life.js';

/** APPS names some of them by a part of their name, or a whole set as `set:sample`; unless told, all. */
const wanted = process.env.APPS?.toLowerCase().split(',') ?? [''];
const chosen = hostedApps.filter(({ name, set }) =>
  wanted.some((part) => part === `set:${set}` || name.toLowerCase().includes(part)),
);
assert.ok(chosen.length > 0, `APPS: ${JSON.stringify(process.env.APPS)}; expected parts of names of apps`);

const installed = new Map<SetName, Installed>();
for (const { set } of chosen) if (!installed.has(set)) installed.set(set, await install(set));

/** So many at once; unless told, one after the other. */
const concurrency = Number(process.env.APPS_AT_ONCE ?? 1);

describe('real apps', { concurrency }, () => {
  for (const app of chosen) tryOut(app);
});

function tryOut(app: HostedApp): void {
  describe(app.name, { concurrency: 1, timeout: 6 * patience, skip: whyNot(app) }, () => {
    const todo = app.fails ?? false;
    const control = mkdtempSync(join(tmpdir(), 'rom-agent-apps-'));
    let life: Life | null = null;
    let failure = new Error('it did not start');

    before(async () => {
      life = await Life.begin(app, folderOf(app), control).catch((error: Error) => {
        failure = error;
        return null;
      });
    });

    after(() => {
      life?.end();
      rmSync(control, { recursive: true, force: true });
    });

    const step = (title: string, act: (t: TestContext, life: Life) => Promise<void>) =>
      it(title, { todo }, async (t) => {
        if (life === null) throw failure;
        await act(t, life);
      });

    step('is served by both workers', async (t, life) => {
      const clients = await life.clientsOfAll(t);
      await clients.reached(20, patience);
      await clients.lostNothing();
    });

    step('loses nothing in a reload under load, and each old worker cleans up once', async (t, life) => {
      const clients = await life.clientsOfAll(t);
      await life.reload();
      await life.answeredByAll(clients);
      await clients.lostNothing();
    });

    step(
      'loses nothing in a stop under load, ends with status 0, and each worker cleans up once',
      async (t, life) => {
        const pids = await life.ready();
        const clients = await life.clientsOfAll(t);
        clients.mayBeRefused();
        await life.stop();
        await clients.lostNothing();
        life.cleanedUpOnce(pids);
      },
    );
  });
}

function folderOf({ set }: HostedApp): string {
  const place = installed.get(set);
  assert.ok(place !== undefined);
  if ('reason' in place) throw new Error(`${set} is not installed: ${place.reason}`);
  return place.folder;
}

/** Skipped where it could not be installed; in CI it fails instead. */
function whyNot({ set }: HostedApp): string | false {
  const place = installed.get(set);
  if (place === undefined || 'folder' in place || process.env.CI === 'true') return false;
  return `${set} is not installed: ${place.reason}`;
}
