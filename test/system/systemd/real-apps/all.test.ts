import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Installed, install, type SetName } from '../../apps/install.js';
import { type Machine, needsMachine, sharedMachine } from '../machine.js';
import { type Service, service } from '../service.js';

/** Apps of test/fixtures/system below /srv, as they would be deployed, under the unit as it is shipped. */
interface Deployed {
  readonly set: SetName;
  /** What is copied, below the set's folder; the whole unless told. */
  readonly part?: string;
  readonly file: string;
  /** Paths and what is answered there. */
  readonly answers: Readonly<Record<string, RegExp>>;
  /** What it needs of a drop-in, as its end without it names it. */
  readonly opens?: RegExp;
}

const apps: Readonly<Record<string, Deployed>> = {
  'NestJS on Express': { set: 'nest', file: 'dist/express.js', answers: { '/': /"pid":\d+/ } },
  'NestJS on Fastify': { set: 'nest', file: 'dist/fastify.js', answers: { '/': /"pid":\d+/ } },
  'a standalone Next.js': {
    set: 'next',
    part: 'standalone/standalone',
    file: 'server.js',
    answers: { '/': /Rendered at/, '/pid': /"pid":\d+/ },
  },
  'better-sqlite3': { set: 'native', file: 'app.js', answers: { '/': /"visits":\d+/ } },
  "Express with views, the generator's app": {
    set: 'sample',
    file: 'express/bin/www',
    answers: { '/': /<html/, '/style.css': /\{/ },
  },
  'Express with uploads and dotenv': {
    set: 'site',
    file: 'app.js',
    answers: { '/': /from the file, by \d+/, '/style.css': /teal/ },
    opens: /ProtectSystem= of the unit keeps \/srv\/\S+\/uploads read-only.*under \[Service\] (.*)$/m,
  },
};

for (const [name, app] of Object.entries(apps)) {
  const place = await install(app.set);
  test(`${name} starts, is served and reloads under the shipped unit`, needs(app.set, place), async (t) => {
    const machine = await sharedMachine();
    const folder = await deploy(machine, app, place);
    const own = await service(machine, t, {
      name: 'real',
      env: { ROM_AGENT_APP: `${folder}/${app.file}` },
      settings: ['Restart=no'],
    });
    if (app.opens !== undefined) await open(machine, own, app.opens);
    await own.start();
    await answers(own, app);
    assert.equal((await own.systemctl('reload')).code, 0);
    await answers(own, app);
    if (app.set === 'site') await upload(own);
    assert.equal((await own.systemctl('stop')).code, 0);
    assert.deepEqual(await own.show('Result'), { Result: 'success' });
    assert.deepEqual(
      (await own.log('err')).map(({ message }) => message).filter((said) => !app.opens?.test(said)),
      [],
    );
  });
}

/** Skipped where it could not be installed or no machine can boot; in CI it fails instead. */
function needs(set: SetName, place: Installed): { skip: string | false } {
  if ('folder' in place || process.env.CI === 'true') return needsMachine();
  return { skip: `${set} is not installed: ${place.reason}` };
}

/** Belongs to root, and everybody may read it. */
async function deploy(machine: Machine, { set, part = '.' }: Deployed, place: Installed): Promise<string> {
  assert.ok('folder' in place, 'reason' in place ? place.reason : '');
  const folder = `/srv/${set}`;
  const copy = `[ -d ${folder} ] || { mkdir -p ${folder} && cp -r ${place.folder}/${part}/. ${folder}; }`;
  // What the app has made where it was played before (make apps) would be there before its first start here.
  await machine.must(['sh', '-c', `${copy}; rm -rf ${folder}/uploads; chmod -R a+rX ${folder}`]);
  return folder;
}

/** It ends without the drop-in that its Status names, and gets it. */
async function open(machine: Machine, own: Service, opens: RegExp): Promise<void> {
  assert.notEqual((await own.systemctl('start')).code, 0);
  const { StatusText } = await own.show('StatusText');
  assert.match(StatusText, opens);
  const [, lines = ''] = opens.exec(StatusText) ?? [];
  await machine.unit(`${own.unit}.d/z.conf`, ['[Service]', ...lines.split(', '), ''].join('\n'));
}

async function answers(own: Service, { answers }: Deployed): Promise<void> {
  for (const [path, expected] of Object.entries(answers))
    assert.match((await own.get(path)).text, expected, path);
}

async function upload({ port }: Service): Promise<void> {
  const body = new FormData();
  body.append('picture', new Blob(['a picture']), 'picture.png');
  const answer = await fetch(`http://127.0.0.1:${port}/upload`, { method: 'POST', body });
  assert.deepEqual(await answer.json(), { size: 9 });
}
