// Runs every test file of this folder in one process, so that one machine is booted for all of them.
import { readdir } from 'node:fs/promises';

const files = (await readdir(import.meta.dirname)).filter((name) => name.endsWith('.test.js')).sort();
for (const file of files) await import(`./${file}`);
