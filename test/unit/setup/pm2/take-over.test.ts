import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { giveBack, type Passage, type PassageSeam, takeOver } from '../../../../src/setup/pm2/take-over.js';

const passage: Passage = {
  app: 'Web',
  units: ['rom-agent@web.socket', 'rom-agent@web.service'],
  timer: 'rom-agent-reload-web.timer',
  ports: [3000],
  beside: true,
};
/** Without a socket unit. */
const alone: Passage = { ...passage, units: ['rom-agent@web.service'] };

/** A host on which everything takes a tick. `fails`: what does not work. `frees`: PM2 gives up the port before it says so. */
function hostWith({ fails = [], frees = false }: { fails?: readonly string[]; frees?: boolean } = {}) {
  const log: string[] = [];
  let [taken, time] = [true, 0];
  let canWait = false;
  let looks = 0;
  let ready: (() => void) | null = null;
  let stopping: (() => void) | null = null;
  const pm2 = (verb: string) => async (name: string) => {
    log.push(`pm2 ${verb} ${name}`);
    if (fails.includes(`pm2 ${verb}`)) throw new Error(`pm2 cannot ${verb}`);
    if (verb === 'start') return;
    if (!frees) {
      taken = false;
      return;
    }
    await new Promise<void>((resolve) => {
      stopping = resolve;
    });
    log.push('pm2 has stopped');
  };
  const seam: PassageSeam = {
    pm2: { stop: pm2('stop'), start: pm2('start') },
    systemctl: async (...args) => {
      const line = args.join(' ');
      log.push(line);
      if (args[0] === 'stop') taken = false;
      if (args[0] === 'start') stopping?.();
      // It waits as long as PM2 has the port.
      if (args[0] === 'start' && canWait && taken && !fails.includes(line))
        await new Promise<void>((resolve) => {
          ready = resolve;
        });
      const ok = !fails.some((each) => line.startsWith(each));
      return { ok, output: ok ? '' : `${line} failed` };
    },
    endLeftBehind: async (ports) => {
      log.push(`end what is left at ${ports.join()}`);
      return 0;
    },
    statusOf: async () =>
      looks++ === 0
        ? 'starting: 0 of 2 workers ready'
        : 'starting: 0 of 2 workers ready, 2 wait for port 3000',
    allowWait: async (unit, allowed) => {
      log.push(`${unit} ${allowed ? 'may' : 'may not'} wait`);
      canWait = allowed;
    },
    listeners: () => (taken ? 'pm2' : ready === null ? '' : 'service'),
    sleep: async (ms) => {
      if (!taken) ready?.();
      time += ms;
      if (frees) taken = false;
    },
    clock: () => time++,
  };
  return { seam, log };
}

describe('an app that is taken over', () => {
  test('is stopped in PM2 once its units are enabled, and the socket is opened first', async () => {
    const { seam, log } = hostWith();
    assert.equal((await takeOver(passage, seam)).ok, true);
    assert.deepEqual(log, [
      'enable rom-agent@web.socket rom-agent@web.service',
      'pm2 stop Web',
      'start rom-agent@web.socket',
      'end what is left at 3000',
      'start rom-agent@web.service',
      'enable --now rom-agent-reload-web.timer',
    ]);
  });

  test('is stopped in PM2 when its service has booted and waits for the port', async () => {
    const { seam, log } = hostWith();
    const passed = await takeOver(alone, seam);
    assert.ok(passed.ok && passed.gap !== null, JSON.stringify(passed));
    assert.deepEqual(log, [
      'enable rom-agent@web.service',
      'rom-agent@web.service may wait',
      'start rom-agent@web.service',
      'pm2 stop Web',
      'end what is left at 3000',
      'enable --now rom-agent-reload-web.timer',
      'rom-agent@web.service may not wait',
    ]);
  });

  test('is not stopped in PM2 where its service does not boot beside it', async () => {
    const { seam, log } = hostWith({ fails: ['start rom-agent@web.service'] });
    const passed = await takeOver(alone, seam);
    assert.deepEqual(passed, { ok: false, why: 'start rom-agent@web.service failed', back: true });
    assert.deepEqual(log.slice(-2), [
      'disable --now rom-agent@web.service',
      'rom-agent@web.service may not wait',
    ]);
    assert.ok(!log.includes('pm2 stop Web'));
  });

  test('is stopped first where it may not run twice, and where it has no port', async () => {
    for (const each of [
      { ...alone, beside: false },
      { ...alone, ports: [] },
    ]) {
      const { seam, log } = hostWith();
      assert.equal((await takeOver(each, seam)).ok, true);
      assert.ok(log.indexOf('pm2 stop Web') < log.indexOf('start rom-agent@web.service'), log.join('; '));
    }
  });

  test('is started as soon as the port is free, before PM2 says that it has stopped it', async () => {
    const { seam, log } = hostWith({ frees: true });
    assert.equal((await takeOver(passage, seam)).ok, true);
    assert.ok(log.indexOf('start rom-agent@web.socket') < log.indexOf('pm2 has stopped'), log.join('; '));
  });

  test('runs under PM2 again where its service does not start', async () => {
    const { seam, log } = hostWith({ fails: ['start rom-agent@web.service'] });
    const passed = await takeOver(passage, seam);
    assert.deepEqual(passed, { ok: false, why: 'start rom-agent@web.service failed', back: true });
    assert.deepEqual(log.slice(-2), [
      'disable --now rom-agent@web.socket rom-agent@web.service',
      'pm2 start Web',
    ]);
  });

  test('is said to run nowhere where PM2 does not start it again either', async () => {
    const { seam } = hostWith({ fails: ['start rom-agent@web.service', 'pm2 start'] });
    const passed = await takeOver(passage, seam);
    assert.ok(!passed.ok && !passed.back);
    assert.match(passed.why, /PM2 did not start it again: pm2 cannot start/);
  });

  test('stays with PM2 where its units cannot be enabled', async () => {
    const { seam, log } = hostWith({ fails: ['enable'] });
    const passed = await takeOver(passage, seam);
    assert.ok(!passed.ok && passed.back);
    assert.equal(log.length, 1);
  });
});

describe('an app that is given back', () => {
  test('is started by PM2 when the service has given up the port, and its units are disabled', async () => {
    const { seam, log } = hostWith();
    assert.equal((await giveBack(passage, seam)).ok, true);
    assert.deepEqual(log, [
      'disable --now rom-agent-reload-web.timer',
      'stop rom-agent@web.socket rom-agent@web.service',
      'pm2 start Web',
      'disable rom-agent@web.socket rom-agent@web.service',
    ]);
  });

  test('stays a service where PM2 does not start it', async () => {
    const { seam, log } = hostWith({ fails: ['pm2 start'] });
    const passed = await giveBack(passage, seam);
    assert.deepEqual(passed, { ok: false, why: 'pm2 cannot start', back: true });
    assert.equal(log.at(-1), 'start rom-agent@web.socket rom-agent@web.service');
  });
});
