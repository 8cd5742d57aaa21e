// Becomes dist/jobs/main.js, which the master starts for a run, and main.ts becomes start.js beside it.
require('./start.js');
