/** A fault that a person could make in the core: in one file of the compiled core one text is another. */
export interface Mutation {
  readonly fault: string;
  readonly file: string;
  /** Occurs exactly once. */
  readonly text: string;
  readonly instead: string;
}

export const mutations: readonly Mutation[] = [
  {
    fault: 'the old worker drains before the new one is ready',
    file: 'slots.js',
    text: "phase === 'ready' &&",
    instead: 'true &&',
  },
  {
    fault: 'the old worker is never drained',
    file: 'slots.js',
    text: 'if (better === undefined)',
    instead: 'if (true)',
  },
  {
    fault: 'the canary is taken for the worker of its slot before it has proved itself',
    file: 'slots.js',
    text: 'if (!isUp(worker) || isExtra(state, worker))',
    instead: 'if (!isUp(worker))',
  },
  {
    fault: 'an old worker that crashes comes back as the new generation',
    file: 'slots.js',
    text: 'generation = t.state.generation',
    instead: 'generation = t.state.reload?.target ?? t.state.generation',
  },
  {
    fault: 'a scale that waits for the verdict is forgotten',
    file: 'reload.js',
    text: 'applyScale(t, pendingScale);',
    instead: '',
  },
  {
    fault: 'a rollback to a generation that does not start any more lasts for ever',
    file: 'reload.js',
    text: 'new Set(state.slots.filter(falters)',
    instead: 'new Set([].filter(falters)',
  },
  {
    fault: 'a reload without a way back whose workers do not start keeps every other one out',
    file: 'reload.js',
    text: 'return slots.some(falters) ? reload : null;',
    instead: 'return null;',
  },
  {
    fault: 'a reload without a way back that came to nothing stays what crashed workers are replaced with',
    file: 'reload.js',
    text: 'if (reload.rollback)\n        return;',
    instead: 'if (true)\n        return;',
  },
  {
    fault: 'READY is said twice',
    file: 'reload.js',
    text: 'notifyStatus(t, { ready: true });',
    instead: 'notifyStatus(t, { ready: true });\n    notifyStatus(t, { ready: true });',
  },
  {
    fault: 'workers that start are not killed by a rollback',
    file: 'reload.js',
    text: 'onTrial.filter(',
    instead: '[].filter(',
  },
  {
    fault: 'the probe is not waited for',
    file: 'canary.js',
    text: "return probeBy === null && worker?.phase === 'ready'",
    instead: "return worker?.phase === 'ready'",
  },
  {
    fault: 'the canary is not soaked',
    file: 'canary.js',
    text: 'const until = reload.soak ? now + time : t.state.tickedAt;',
    instead: 'const until = t.state.tickedAt;',
  },
  {
    fault: 'a canary that hangs is not seen: its probe has no limit, nor has its silence',
    file: 'canary.js',
    text: 'if (probeBy !== null && state.tickedAt >= probeBy)',
    instead: 'if (probeBy === 0)',
  },
  {
    fault: 'forks stay due while the service stops',
    file: 'lifecycle.js',
    text: 'slots: slots.map((slot) => ({ ...slot, forkAt: null, forkAfter: null })),',
    instead: '',
  },
  {
    fault: 'all slots are replaced at once',
    file: 'reload.js',
    text: 'if (starting >= atOnce(reload))',
    instead: 'if (false)',
  },
  {
    fault: 'a death of the generation on trial is a crash like any other',
    file: 'deaths.js',
    text: 'if (reload === null)',
    instead: 'if (true)',
  },
  {
    fault: 'a rollback is over before the old generation is back',
    file: 'reload.js',
    text: 'return served && !left;',
    instead: 'return !left;',
  },
  {
    fault: 'a rollback leaves workers of the new generation behind',
    file: 'reload.js',
    text: 'return served && !left;',
    instead: 'return true;',
  },
  {
    fault: 'a reload that the stop ends leaves no record',
    file: 'lifecycle.js',
    text: 'stopReload(t, why);',
    instead: 't.update({ reload: null, pendingScale: null });',
  },
  {
    fault: 'a request that is refused gets no answer',
    file: 'transaction.js',
    text: "this.emit({ type: 'answer', request, answer: { accepted: false, reason } });",
    instead: '',
  },
  {
    fault: 'a second reload is accepted while one is under way',
    file: 'slots.js',
    text: 'return reload === null',
    instead: 'return true',
  },
  {
    fault: 'a stop waits for ever for killed workers that do not go',
    file: 'lifecycle.js',
    text: 'else if (t.now - life.killedAt >= reapGrace)',
    instead: 'else if (false)',
  },
  {
    fault: 'a slot does not wait for its backoff',
    file: 'deaths.js',
    text: 'forkAt: t.now + pause,',
    instead: 'forkAt: null,',
  },
  {
    fault: 'a reload that is done keeps the old generation as the proven one',
    file: 'reload.js',
    text: 't.update({ generation: reload.target });',
    instead: '{}',
  },
  {
    fault: 'workers that drain have no limit of their own',
    file: 'timeouts.js',
    text: 'if (now >= worker.deadline && !endsWithAll(life, worker.deadline))',
    instead: "if (life.phase === 'serving' && now >= worker.deadline)",
  },
];
