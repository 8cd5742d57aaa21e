import type { Mutation } from './mutations.js';

/** Faults in when the number of workers may follow the load, and how far. */
export const mutationsOfScaling: readonly Mutation[] = [
  {
    fault: 'the load changes the number of workers in a reload',
    file: 'autoscale.js',
    text: 'if (state.reload !== null || scaling.held)',
    instead: 'if (scaling.held)',
  },
  {
    fault: 'the load changes a number that an operator holds',
    file: 'autoscale.js',
    text: 'if (state.reload !== null || scaling.held)',
    instead: 'if (state.reload !== null)',
  },
  {
    fault: 'the load leads out of the range',
    file: 'autoscale.js',
    text: 'to: Math.min(wanted, rules.max)',
    instead: 'to: wanted',
  },
  {
    fault: 'more workers are added while one starts',
    file: 'autoscale.js',
    text: 'if (starts || fails',
    instead: 'if (fails',
  },
  {
    fault: 'a worker that the load asked for is tried for ever',
    file: 'deaths.js',
    text: "if (kind === 'boot' && isOneTooMany(t, failures))",
    instead: 'if (false)',
  },
  {
    fault: 'a worker that does not start is given up at its first death',
    file: 'autoscale.js',
    text: 'const deathsToGiveBack = 2;',
    instead: 'const deathsToGiveBack = 1;',
  },
  {
    fault: 'a worker of the lower end of the range is given up',
    file: 'autoscale.js',
    text: 'state.slots.length <= rules.min || failures',
    instead: 'failures',
  },
  {
    fault: 'what an operator asked for is given up where it does not start',
    file: 'autoscale.js',
    text: 'return state.reload === null && !state.scaling.held;',
    instead: 'return state.reload === null;',
  },
  {
    fault: 'a number that an operator asked for is not held',
    file: 'slots.js',
    text: 'hold(t);',
    instead: '',
  },
  {
    fault: 'a number that an operator asked for is held after the next reload',
    file: 'reload.js',
    text: "if (verdict === 'done' && pendingScale === null)",
    instead: 'if (false)',
  },
];

/** Faults in how fast it follows: the load's course of a day and some others show them. */
export const mutationsOfPace: readonly Mutation[] = [
  {
    fault: 'one hot look is enough',
    file: 'autoscale.js',
    text: 'const heatToAct = 3;',
    instead: 'const heatToAct = 1;',
  },
  {
    fault: 'it takes ten hot looks',
    file: 'autoscale.js',
    text: 'const heatToAct = 3;',
    instead: 'const heatToAct = 20;',
  },
  {
    fault: 'hot looks need not be in a row',
    file: 'autoscale.js',
    text: '{ ...trend, heat: 0, hotSince: null, lookedAt: now }',
    instead: '{ ...trend, lookedAt: now }',
  },
  {
    fault: 'connections that wait say nothing',
    file: 'autoscale.js',
    text: 'wait >= veryLongWait ? 4 : 2',
    instead: '1',
  },
  {
    fault: 'there are fewer as soon as fewer would do',
    file: 'autoscale.js',
    text: 'if (heat > 0 || peaks.length <= parts)',
    instead: 'if (heat > 0)',
  },
  {
    fault: 'there are fewer by what the last part of the window needed',
    file: 'autoscale.js',
    text: 'const to = Math.max(...peaks);',
    instead: 'const to = peaks[0];',
  },
  {
    fault: 'there are never fewer',
    file: 'autoscale.js',
    text: 'if (to >= workers)',
    instead: 'if (true)',
  },
  {
    fault: 'what was given up too soon is given up as soon again',
    file: 'autoscale.js',
    text: 'return Math.min(mostPatience, patience * 2);',
    instead: 'return 1;',
  },
  {
    fault: 'as many workers are kept as are busy, without room to the target',
    file: 'autoscale.js',
    text: 'Math.ceil(busy / target - 1e-9)',
    instead: 'Math.ceil(busy - 1e-9)',
  },
];
