/**
 * Chooses one for a name, always the same: the one with the highest hash of both (Thaler and Ravishankar, 1998). When
 * one is added or goes, only the names change that it gets or had.
 */
export function rendezvous<Choice>(
  name: string,
  choices: readonly Choice[],
  idOf: (choice: Choice) => number,
): Choice | undefined {
  let best: Choice | undefined;
  let highest = -1;
  for (const choice of choices) {
    const weight = hash(`${name}|${idOf(choice)}`);
    if (weight <= highest) continue;
    highest = weight;
    best = choice;
  }
  return best;
}

/** FNV-1a over UTF-16 units, then the finalizer of MurmurHash3, without which the last digit would decide too little. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
