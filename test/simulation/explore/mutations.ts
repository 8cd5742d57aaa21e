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
    text: 'generation = state.generation',
    instead: 'generation = state.reload?.target ?? state.generation',
  },
  {
    fault: 'a scale that waits for the verdict is forgotten',
    file: 'reload.js',
    text: 'return applyScale({ ...next, pendingScale: null }, pendingScale, now, policy);',
    instead: 'return unchanged({ ...next, pendingScale: null });',
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
    text: 'if (reload.rollback)\n        return state;',
    instead: 'if (true)\n        return state;',
  },
  {
    fault: 'READY is said twice',
    file: 'reload.js',
    text: "[{ type: 'notify', ready: true, status }]",
    instead: "[{ type: 'notify', ready: true, status }, { type: 'notify', ready: true, status }]",
  },
  {
    fault: 'workers that start are not killed by a rollback',
    file: 'reload.js',
    text: 'onTrial.map(',
    instead: '[].map(',
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
    text: 'const until = reload.soak ? now + limits.soak : state.tickedAt;',
    instead: 'const until = state.tickedAt;',
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
    text: 'slots: state.slots.map((slot) => ({ ...slot, forkAt: null, forkAfter: null })),',
    instead: '',
  },
  {
    fault: 'all slots are replaced at once',
    file: 'reload.js',
    text: 'if (starting >= (reload.soak ? 1 : startingAtOnce))',
    instead: 'if (false)',
  },
  {
    fault: 'a death of the generation on trial is a crash like any other',
    file: 'deaths.js',
    text: 'const told = reload === null ? ',
    instead: 'const told = true ? ',
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
    text: 'return chain(stopReload(state, ending.why, ending.now), (next) => drainAll(next, ending));',
    instead: 'return drainAll({ ...state, reload: null, pendingScale: null }, ending);',
  },
  {
    fault: 'a request that is refused gets no answer',
    file: 'result.js',
    text: "{ type: 'answer', request, answer: { accepted: false, reason } },",
    instead: '',
  },
  {
    fault: 'a second reload is accepted while one is under way',
    file: 'result.js',
    text: 'return reload === null',
    instead: 'return true',
  },
  {
    fault: 'a stop waits for ever for killed workers that do not go',
    file: 'lifecycle.js',
    text: 'if (now - life.killedAt < reapGrace)',
    instead: 'if (true)',
  },
  {
    fault: 'a slot does not wait for its backoff',
    file: 'deaths.js',
    text: 'forkAt: now + delay,',
    instead: 'forkAt: null,',
  },
  {
    fault: 'a reload that is done keeps the old generation as the proven one',
    file: 'reload.js',
    text: "verdict === 'done' ? reload.target : state.generation",
    instead: 'state.generation',
  },
  {
    fault: 'workers that drain have no limit of their own',
    file: 'timeouts.js',
    text: 'if (now >= worker.deadline && !endsWithAll(life, worker.deadline))',
    instead: "if (life.phase === 'serving' && now >= worker.deadline)",
  },
];
