import { runLane } from './lanes.js';

await runLane('third');
