import { totalmem } from 'node:os';
import { readMemory } from '../../src/master/memory.js';
import { systemFiles } from '../../src/master/system.js';

/** Run by a test in a cgroup of its own. */
process.stdout.write(JSON.stringify(readMemory({ ...systemFiles, totalmem })));
