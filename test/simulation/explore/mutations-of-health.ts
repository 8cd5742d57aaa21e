import type { Mutation } from './mutations.js';

/** Faults in how the core judges, looks at, replaces and keeps in reserve. */
export const mutationsOfHealth: readonly Mutation[] = [
  {
    fault: 'a silent worker lives for as long as nobody knows what it does',
    file: 'timeouts.js',
    text: 'if (t.now >= killAt(worker, policy))',
    instead: 'if (t.now >= killAt(worker, policy) && worker.vitals.silence.capture !== null)',
  },
  {
    fault: 'a silent worker is killed without being looked at',
    file: 'timeouts.js',
    text: 'if (isLookedAt(worker))',
    instead: 'if (true)',
  },
  {
    fault: 'a silent worker is looked at over and over',
    file: 'timeouts.js',
    text: 'return silence !== null && silence.ended === null;',
    instead: 'return false;',
  },
  {
    fault: 'a worker that has spoken again is killed at its next silence for what was known of the last',
    file: 'timeouts.js',
    text: 't.put(withSilence(worker, null));',
    instead: 't.put(worker);',
  },
  {
    fault: 'a worker that gets no CPU is never killed',
    file: 'timeouts.js',
    text: 'const patienceWithStarved = 3;',
    instead: 'const patienceWithStarved = 300;',
  },
  {
    fault: 'a worker is silent for longer than its limit where no tick happens to be due',
    file: 'step.js',
    text: 'const silence = silenceDeadline(worker, policy);',
    instead: 'const silence = Infinity;',
  },
  {
    fault: 'who hangs is killed, and nobody follows',
    file: 'timeouts.js',
    text: 'died(t, death);',
    instead: 't.update({ slots: t.state.slots.map((slot) => ({ ...slot, forkAt: 1e9 })) });',
  },
  {
    fault: 'sick workers are replaced all at once',
    file: 'health.js',
    text: "const isBusy = state.reload !== null || state.workers.some(({ phase }) => phase === 'starting');",
    instead: 'const isBusy = state.reload !== null;',
  },
  {
    fault: 'sick workers are replaced in a reload',
    file: 'health.js',
    text: "const isBusy = state.reload !== null || state.workers.some(({ phase }) => phase === 'starting');",
    instead: "const isBusy = state.workers.some(({ phase }) => phase === 'starting');",
  },
  {
    fault: 'a worker that is sick again is replaced again and again',
    file: 'health.js',
    text: 'return treatedAt !== null && now - treatedAt < policy.restart.window;',
    instead: 'return false;',
  },
  {
    fault: 'spares are made in a reload',
    file: 'slots.js',
    text: "if (t.state.life.phase !== 'serving' || t.state.reload !== null)",
    instead: "if (t.state.life.phase !== 'serving')",
  },
  {
    fault: 'a spare that takes over is followed by no other',
    file: 'slots.js',
    text: 'return sparesOf(state).length < state.spares.wanted;',
    instead: 'return state.restarts === 0 && sparesOf(state).length < state.spares.wanted;',
  },
  {
    fault: 'a spare is made while another worker starts',
    file: 'slots.js',
    text: 'isSpareMissing(state) && !starts &&',
    instead: 'isSpareMissing(state) &&',
  },
  {
    fault: 'spares of the old generation stay after the reload',
    file: 'slots.js',
    text: 'all.filter(({ generation }) => generation === state.generation)',
    instead: 'all',
  },
  {
    fault: 'a spare of any generation takes over',
    file: 'slots.js',
    text: 'worker.generation === generation && ',
    instead: '',
  },
  {
    fault: 'a spare is left waiting while another worker is forked',
    file: 'slots.js',
    text: 'if (spare === undefined)',
    instead: 'if (true)',
  },
  {
    fault: 'a spare that takes over stays a spare besides',
    file: 'transaction.js',
    text: 'workers: [...others, changed]',
    instead: 'workers: [...this.#state.workers, changed]',
  },
  {
    fault: 'a stop forgets the spares',
    file: 'workers.js',
    text: "phase === 'starting' || phase === 'spare' || phase === 'ready'",
    instead: "phase === 'starting' || phase === 'ready'",
  },
  {
    fault: 'systemd is told that all is well whoever answers',
    file: 'watchdog.js',
    text: "const isAlive = state.life.phase !== 'serving' || hasQuorum || isComingBack(state, now, policy);",
    instead: 'const isAlive = true;',
  },
  {
    fault: 'one worker that answers is a quorum of any number',
    file: 'watchdog.js',
    text: 'const hasQuorum = answering >= Math.ceil(state.slots.length / 2);',
    instead: 'const hasQuorum = answering >= 1;',
  },
  {
    fault: 'a worker that is drained for memory is followed before it is gone',
    file: 'slots.js',
    text: 'return forkAfter !== null && workers.some(({ key }) => key === forkAfter);',
    instead: 'return false;',
  },
  {
    fault: 'all workers that have grown are drained for memory at once',
    file: 'memory.js',
    text: 'const isBusy = reload !== null || slot !== null || comes || t.now < quietUntil;',
    instead: 'const isBusy = reload !== null;',
  },
];
