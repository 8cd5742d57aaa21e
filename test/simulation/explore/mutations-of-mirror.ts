import type { Mutation } from './mutations.js';

/** Faults in how a canary is judged before it takes a client. */
export const mutationsOfMirror: readonly Mutation[] = [
  {
    fault: 'a canary takes clients though it is to be mirrored first',
    file: 'reload.js',
    text: 'if (mirrors(t.policy, event))',
    instead: 'if (false)',
  },
  {
    fault: 'a canary that nobody is to watch is mirrored',
    file: 'mirror-stage.js',
    text: " && kind === 'server' && soak && rollback",
    instead: " && kind === 'server' && rollback",
  },
  {
    fault: 'a canary listens as soon as it can be asked',
    file: 'mirror-stage.js',
    text: 'if (asksOn && !isOver && !isAlone)',
    instead: 'if (openedAt === null)',
  },
  {
    fault: 'a mirrored canary of which nobody asks anything waits for ever',
    file: 'mirror-stage.js',
    text: 'const isOver = t.state.tickedAt >= until;',
    instead: 'const isOver = false;',
  },
  {
    fault: 'a canary that fails what the others answer is not rolled back',
    file: 'mirror.js',
    text: 'evidence(worse, better) >= bar',
    instead: 'false',
  },
  {
    fault: 'a canary that is rolled back before it listens is forgotten',
    file: 'reload.js',
    text: "phase === 'starting' || phase === 'spare'",
    instead: "phase === 'starting'",
  },
  {
    fault: 'the old workers go on telling of requests after the mirror',
    file: 'mirror-stage.js',
    text: 'sample(t, reload.stage, 0);',
    instead: '',
  },
];
