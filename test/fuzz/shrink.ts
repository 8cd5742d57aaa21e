import type { Script, Step } from './script.js';

/** Tells which of some scripts still fail, in their order; they are tried all at once. */
export type Failing = (scripts: readonly Script[]) => Promise<readonly Script[]>;

/** A smaller script that still fails, and of which every part is needed, as far as `rounds` go. */
export async function shrink(script: Script, failing: Failing, rounds = 20): Promise<Script> {
  let smallest = script;
  for (let round = 0; round < rounds; round++) {
    const found = await failing(smaller(smallest));
    const [best] = [...found].sort((a, b) => sizeOf(a) - sizeOf(b));
    if (best === undefined) return smallest;
    smallest = best;
  }
  return smallest;
}

/** What is left of a script without one part of it: half of its steps, one step, one request, or a rest between two sends. */
export function smaller(script: Script): Script[] {
  const { steps, requests } = script;
  const half = Math.floor(steps.length / 2);
  const halves = half > 1 ? [steps.slice(0, half), steps.slice(half)] : [];
  const without = steps.map((_, place) => steps.filter((__, other) => other !== place));
  const joined = steps.flatMap((step, place): Step[][] => {
    const next = steps[place + 1];
    if (!('send' in step) || next === undefined || !('send' in next)) return [];
    return [[...steps.slice(0, place), { send: step.send + next.send }, ...steps.slice(place + 2)]];
  });
  return [...halves, ...without, ...joined].map((left) => {
    const sent = left.flatMap((step) => ('send' in step ? [step.send] : [])).join('');
    const kept = requests.filter(({ token }) => sent.includes(token));
    return { ...script, steps: fewerAnswers(left, requests.length - kept.length), requests: kept };
  });
}

/** A script does not wait for the answers to what it does not send any more. */
function fewerAnswers(steps: readonly Step[], fewer: number): Step[] {
  return steps.map((step) => ('answers' in step ? { answers: Math.max(0, step.answers - fewer) } : step));
}

function sizeOf({ steps }: Script): number {
  return steps.reduce((sum, step) => sum + 50 + ('send' in step ? step.send.length : 0), 0);
}
