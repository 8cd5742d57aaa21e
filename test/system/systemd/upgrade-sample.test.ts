import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../../support/wait.js';
import { needsMachine, sharedMachine } from './machine.js';
import { alone, run, traffic, upgradable, upgrade } from './upgrade/upgrade.js';

test(
  'an upgrade under load cuts nothing, and systemd knows the new main process',
  needsMachine(),
  async (t) => {
    const machine = await sharedMachine();
    const own = await upgradable(machine, t);
    const before = await own.master();
    const under = await traffic(t, machine, own, { webSockets: 5, downloads: 3 });
    const { code, said } = await upgrade(machine);
    assert.equal(code, 0, said);
    const after = await own.master();
    assert.notEqual(after, before);
    assert.match(said, new RegExp(`process ${after} serves`));
    await own.becomes('StatusText', /2 of 2 workers ready/);
    await under.echoes();
    assert.ok(
      (await own.processes()).some(({ pid }) => pid === before),
      'the master before ended with connections open',
    );
    const why = await run(machine, 'why');
    // What comes before is of the services of other tests, some of which were killed.
    const [, since = assert.fail(why)] = why.split(`process ${after} takes the place of this one`);
    assert.doesNotMatch(since, /without a word/);
    await under.whole();
    await under.echoes();
    under.closeWebSockets();
    await alone(own);
    const { NRestarts, ActiveState, MainPID } = await own.show('NRestarts', 'ActiveState', 'MainPID');
    assert.deepEqual([NRestarts, ActiveState, MainPID], ['0', 'active', String(after)]);
    assert.deepEqual(await own.systemdSaid(/not our child|reception only permitted/), []);
    // The service stops as any other.
    assert.equal((await own.systemctl('stop')).code, 0);
    await waitFor('no process', () => own.processes(), { until: (all) => all.length === 0 });
    assert.equal((await own.show('Result')).Result, 'success');
  },
);
