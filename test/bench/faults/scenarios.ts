import { boots } from './boots.js';
import { deaths } from './deaths.js';
import { hangs } from './hangs.js';
import { operations } from './operations.js';
import type { Scenario } from './scenario.js';
import { shortages } from './shortages.js';

/** In the order of a run. */
export const scenarios: readonly Scenario[] = [...deaths, ...hangs, ...shortages, ...boots, ...operations];
