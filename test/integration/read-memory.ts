import { totalmem } from 'node:os';
import { systemFiles } from '../../src/master/files.js';
import { readMemory } from '../../src/master/memory-watch.js';

/** Run by a test in a cgroup of its own. */
process.stdout.write(JSON.stringify(readMemory({ ...systemFiles, totalmem })));
