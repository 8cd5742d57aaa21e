import { sets } from './catalogue.js';
import { install, type SetName } from './install.js';

/** Installs and builds every set, or those that are named: what `make apps` needs the network for. */
const [, , ...named] = process.argv;
const names = Object.keys(sets) as SetName[];
for (const name of names.filter((name) => named.length === 0 || named.includes(name))) {
  const place = await install(name);
  process.stdout.write(`${name}: ${'folder' in place ? place.folder : `not installed: ${place.reason}`}\n`);
}
