import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Effect } from '../../../src/core/effects.js';
import { createMailbox, type Mailbox, type Where } from '../../../src/master/mailbox.js';
import { simHeartbeat, simPolicy } from '../../simulation/sim-policy.js';

/** A mailbox without processes: what is performed is written down, and the one alarm is kept. */
function fakeMailbox({
  onEffect = () => {},
}: {
  onEffect?: (effect: Effect, mailbox: Mailbox) => void;
} = {}) {
  const fatal: { error: unknown; where: Where }[] = [];
  const performed: string[] = [];
  const alarms: { after: number; ring: () => void }[] = [];
  const clock = { now: 0 };
  const mailbox: Mailbox = createMailbox({
    policy: () => simPolicy({ workers: 2 }),
    seed: 1,
    now: () => clock.now,
    wake: (after, ring) => void alarms.push({ after, ring }),
  });
  mailbox.connect({
    perform: (effect) => {
      performed.push(effect.type);
      onEffect(effect, mailbox);
    },
    onFatal: (error, where) => void fatal.push({ error, where }),
  });
  return { mailbox, performed, alarms, clock, fatal };
}

describe('the mailbox', () => {
  test('performs the effects of an event in their order', () => {
    const { mailbox, performed } = fakeMailbox();
    mailbox.post({ type: 'start' });
    assert.deepEqual(performed, ['fork', 'fork', 'notify']);
    assert.equal(mailbox.state().life.phase, 'starting');
  });

  test('takes an event that an effect causes only after the effects of the one before', () => {
    const seen: string[] = [];
    const { mailbox, performed } = fakeMailbox({
      onEffect: (effect, box) => {
        seen.push(
          `${effect.type}: ${box.state().workers.filter(({ pid }) => pid !== null).length} with a PID`,
        );
        if (effect.type === 'fork') box.post({ type: 'forked', key: effect.key, pid: 100 + effect.key });
      },
    });
    mailbox.post({ type: 'start' });
    assert.deepEqual(seen, ['fork: 0 with a PID', 'fork: 0 with a PID', 'notify: 0 with a PID']);
    assert.deepEqual(
      mailbox.state().workers.map(({ pid }) => pid),
      [101, 102],
    );
    assert.deepEqual(performed, ['fork', 'fork', 'notify']);
  });

  test('takes the events that several effects cause in the order in which they came', () => {
    const { mailbox, performed } = fakeMailbox({
      onEffect: (effect, box) => {
        if (effect.type === 'fork')
          box.post({ type: 'ready', key: effect.key, urls: [`http://${effect.key}`] });
        if (effect.type === 'serving') box.post({ type: 'stop', why: 'a test', now: false });
        if (effect.type === 'drain') box.post({ type: 'exited', key: effect.key, code: 0, signal: null });
      },
    });
    mailbox.post({ type: 'start' });
    assert.deepEqual(
      performed.filter((type) => type !== 'log' && type !== 'notify'),
      ['fork', 'fork', 'serving', 'drain', 'drain', 'exit'],
    );
    assert.equal(mailbox.state().life.phase, 'ended');
  });

  test('leaves the alarm as it is for a heartbeat, which brings no deadline nearer', () => {
    const { mailbox, alarms } = fakeMailbox();
    mailbox.post({ type: 'start' });
    for (const key of [1, 2]) mailbox.post({ type: 'ready', key, urls: [] });
    const set = alarms.length;
    for (const key of [1, 2, 1, 2]) mailbox.post({ type: 'heartbeat', key, heartbeat: simHeartbeat() });
    assert.equal(alarms.length, set);
    mailbox.post({ type: 'tick' });
    assert.equal(alarms.length, set + 1);
  });

  test('sets the alarm once after a whole batch of events, for the next deadline', () => {
    const { mailbox, alarms } = fakeMailbox({
      onEffect: (effect, box) => {
        if (effect.type === 'fork') box.post({ type: 'forked', key: effect.key, pid: 100 + effect.key });
      },
    });
    mailbox.post({ type: 'start' });
    assert.deepEqual(
      alarms.map(({ after }) => after),
      [1_000],
    );
  });

  test('wakes with a tick, and sets the alarm anew', () => {
    const { mailbox, alarms, clock } = fakeMailbox();
    mailbox.post({ type: 'start' });
    clock.now = 1_004;
    alarms.at(-1)?.ring();
    assert.equal(mailbox.state().tickedAt, 1_004);
    assert.deepEqual(
      alarms.map(({ after }) => after),
      [1_000, 1_000],
    );
  });

  test('does not wait for a deadline that has passed', () => {
    const { mailbox, alarms, clock } = fakeMailbox();
    mailbox.post({ type: 'start' });
    clock.now = 1_700;
    mailbox.post({ type: 'forked', key: 1, pid: 101 });
    assert.equal(alarms.at(-1)?.after, 0);
  });

  test('needs no alarm before the start and after the end', () => {
    const { mailbox, alarms } = fakeMailbox();
    mailbox.post({ type: 'tick' });
    mailbox.post({ type: 'stop', why: 'SIGTERM', now: false });
    assert.deepEqual(alarms, []);
    assert.equal(mailbox.state().life.phase, 'ended');
  });

  test('takes nothing more once an effect has thrown, and says where that was', () => {
    const broken = new Error('no such release');
    const { mailbox, fatal, performed, alarms } = fakeMailbox({
      onEffect: ({ type }) => {
        if (type === 'notify') throw broken;
      },
    });
    mailbox.post({ type: 'start' });
    const state = 'idle, generation 1, 0 slots; no workers';
    assert.deepEqual(fatal, [{ error: broken, where: { event: 'start', effect: 'notify', state } }]);
    const before = performed.length;
    mailbox.post({ type: 'stop', why: 'SIGTERM', now: false });
    assert.equal(performed.length, before);
    assert.deepEqual(alarms, [], 'nor does it wait for a time');
  });

  test('takes an answer of the core that throws as fatal, too', () => {
    const { mailbox, fatal } = fakeMailbox();
    mailbox.post({ type: 'start' });
    mailbox.post({ type: 'heartbeat', key: 1, heartbeat: null } as never);
    mailbox.post({ type: 'ready', key: 1, urls: [] });
    mailbox.post({ type: 'heartbeat', key: 1, heartbeat: null } as never);
    assert.deepEqual(
      fatal.map(({ where }) => [where.event, where.effect]),
      [['heartbeat', null]],
    );
  });
});
