import { runLane } from './lanes.js';

await runLane('first');
