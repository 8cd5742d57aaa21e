// The whole matrix, on each clean Debian: the service under one directive alone, and an app that runs into it.
// TREES=trixie: on this one only. ONLY=ProtectHome,PrivateTmp: these directives only.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Finding } from '../../../../src/doctor/finding.js';
import { install } from '../../apps/install.js';
import { cleanMachine, inside, type Machine, needsTree, suites } from '../machine.js';
import { type Service, service } from '../service.js';
import { isSandboxed, servesWhole } from './deeds.js';
import { sandboxOfUnit, unitWithOnly } from './directives.js';
import { grantable, type Wish, wishes } from './wishes.js';

const chosen = (name: string) => process.env.ONLY?.split(',').includes(name) ?? true;
const trees = suites.filter((suite) => process.env.TREES?.split(',').includes(suite) ?? true);
const database = await install('native');

for (const suite of trees)
  describe(`on a clean ${suite}`, () => {
    for (const name of [...sandboxOfUnit().keys()].filter(chosen))
      test(`the service does all that an app does under ${name}= alone`, needsTree(), async (t) => {
        const machine = await cleanMachine(suite);
        const own = await service(machine, t, { name: 'alone', app: 'hardened.cjs' });
        await machine.unit(own.unit, unitWithOnly(name));
        await own.start();
        await servesWhole(machine, own, '/var/lib/rom-agent');
        assert.equal((await own.systemctl('stop')).code, 0);
        assert.deepEqual(await own.show('Result'), { Result: 'success' });
      });

    for (const isNamed of [false, true])
      test(
        `the ${isNamed ? 'template' : 'shipped'} unit serves an app with better-sqlite3`,
        needsDatabase(),
        async (t) => {
          const machine = await cleanMachine(suite);
          const folder = await deployDatabase(machine);
          const env = { SQLITE: `${folder}/node_modules/better-sqlite3` };
          const own = await service(machine, t, { name: 'sqlite', isNamed, app: 'hardened.cjs', env });
          await own.start();
          await isSandboxed(own);
          await servesWhole(machine, own, isNamed ? '/var/lib/rom-agent@sqlite' : '/var/lib/rom-agent');
          assert.equal((await own.systemctl('reload')).code, 0);
          assert.deepEqual(await own.warnings(), []);
        },
      );

    for (const wish of wishes.filter(({ directive }) => chosen(directive)))
      test(`doctor tells of ${wish.directive}= where an app wants ${wish.wish}`, needsTree(), (t) =>
        findsOut(t, suite, wish),
      );
  });

async function findsOut(
  t: Parameters<typeof service>[1],
  suite: (typeof suites)[number],
  { wish, directive, lines, closed = [], stays }: Wish,
): Promise<void> {
  const machine = await cleanMachine(suite);
  await grantable(machine);
  if (wish === 'tmp') await otherSocket(machine, t);
  const own = await service(machine, t, {
    name: 'refused',
    app: 'refused.cjs',
    env: { WISH: wish },
    settings: ['Restart=no', ...closed],
  });
  const serves = wish === 'namespaces';
  assert.equal((await own.systemctl('start')).code === 0, serves);
  if (serves) await own.logged(/Operation not permitted/);
  const { verdict, change } = await findingOf(machine, own, directive);
  if (directive !== 'SystemCallErrorNumber') assert.equal(verdict, serves ? 'warning' : 'problem');
  if (lines.length === 0) return assert.equal(change, null);
  assert.equal(
    change,
    `sudo systemctl edit ${own.unit}: under [Service] ${lines.join(', ')}; then sudo systemctl restart ${own.unit}`,
  );
  if (stays !== undefined) return;
  const told = lines.map((line) => line.replace(/=NAME$/, '=daemon'));
  await machine.unit(`${own.unit}.d/z.conf`, ['[Service]', ...told, ''].join('\n'));
  const { code } = await own.systemctl('restart');
  assert.equal(code, 0, (await own.show('StatusText')).StatusText);
  assert.equal((await own.get('/')).text, 'served');
  if (serves)
    assert.deepEqual(
      (await findings(machine, own)).map(({ check }) => check),
      ['refusals'],
    );
}

async function findingOf(machine: Machine, own: Service, directive: string): Promise<Finding> {
  const all = await findings(machine, own);
  const found = all.find(({ check }) => check === directive);
  assert.ok(found !== undefined, JSON.stringify(all));
  return found;
}

async function findings(machine: Machine, own: Service): Promise<Finding[]> {
  const argv = [inside.node, `${inside.repo}/dist/cli/main.js`, 'doctor', '--json', '--unit', own.unit];
  const { stdout } = await machine.run(argv);
  const { findings: all } = JSON.parse(stdout) as { findings: Finding[] };
  return all.filter(({ subject }) => subject === 'the sandbox');
}

async function otherSocket(machine: Machine, t: Parameters<typeof service>[1]): Promise<void> {
  const script = "require('net').createServer(s => s.end()).listen('/tmp/other.sock')";
  const exec = `ExecStartPre=-/bin/rm -f /tmp/other.sock\nExecStart=${inside.node} -e "${script}"`;
  await machine.unit('other.service', `[Service]\nUMask=0000\n${exec}\n`);
  t.after(() => machine.removeUnit('other.service'));
  await machine.must(['systemctl', 'start', 'other.service']);
  await machine.must(['sh', '-c', 'until [ -S /tmp/other.sock ]; do sleep 0.05; done']);
}

/** Skipped where it could not be installed; in CI it fails instead. */
function needsDatabase(): { skip: string | false } {
  if ('folder' in database || process.env.CI === 'true') return needsTree();
  return { skip: `better-sqlite3 is not installed: ${database.reason}` };
}

async function deployDatabase(machine: Machine): Promise<string> {
  assert.ok('folder' in database, 'reason' in database ? database.reason : '');
  const folder = '/srv/native';
  // The cache is out of a clean tree's sight.
  await machine.receive(database.folder, folder);
  return folder;
}
