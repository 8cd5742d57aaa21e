import type { Millis } from '../protocol/limits.js';
import type { WorkerKey } from '../protocol/messages.js';
import type { MirrorResult } from '../protocol/metrics.js';
import type { MirrorAnswer, MirrorPair } from '../protocol/mirror.js';
import { count, mebibytes } from '../protocol/words.js';
import type { ReloadPolicy } from './policy.js';

/*
 * Whether a canary that no client has reached yet does as well as the old workers, by requests that both were asked. The
 * stage that asks is in mirror-stage.ts; here is what follows from the answers.
 *
 * Both may fail by chance. What tells them apart are the pairs in which one of the two did worse: of two releases that are
 * alike either is as likely to be the worse one, whatever share of their answers fails. `evidence` weighs the two counts
 * after each pair, so that a bad release is known as soon as it can be.
 */

/** The canary has booted without listening, and is asked what the others have answered: see mirror-stage.ts. */
export interface Mirror {
  readonly name: 'mirror';
  readonly key: WorkerKey;
  /** Since when it can be asked; null: it cannot yet. */
  readonly openedAt: Millis | null;
  readonly until: Millis;
  /** When the others' order is renewed next. */
  readonly renewAt: Millis;
  readonly tally: MirrorTally;
}

/** What has come of the requests so far. */
export interface MirrorTally {
  /** Pairs in which both have answered, or the canary should have. */
  readonly pairs: number;
  /** Pairs in which the canary alone failed (no answer, or a status of 500 or more), and in which the old worker alone did. */
  readonly failed: number;
  readonly mended: number;
  /** Pairs in which the canary alone answered with a status of 400 to 499, and in which the old worker alone did. */
  readonly denied: number;
  readonly granted: number;
  /** Pairs with another content type, with another length (more than twice, or less than half), and with either. */
  readonly types: number;
  readonly lengths: number;
  readonly changed: number;
  /** Pairs in which the canary took far longer, without the time that it waited for a CPU. */
  readonly slower: number;
  /** Asked before the comparison began, to warm the canary up. */
  readonly warmUp: number;
  /** Not compared: refused by the app, or late, which may be the machine's fault. */
  readonly refused: number;
  readonly late: number;
  /** The first request in which the canary did worse; null: there was none. */
  readonly example: string | null;
}

export const emptyTally: MirrorTally = {
  pairs: 0,
  failed: 0,
  mended: 0,
  denied: 0,
  granted: 0,
  types: 0,
  lengths: 0,
  changed: 0,
  slower: 0,
  warmUp: 0,
  refused: 0,
  late: 0,
  example: null,
};

/** Fewer pairs than this do not tell how fast the canary is, or how it answers. */
export const fewestPairs = 30;
/** A pair counts as slower from here on: the canary's code is cold, and its caches are empty. */
const slowFactor = 10;
const slowFrom: Millis = 1_000;
/** So many that came to nothing, and none that was answered, are a canary that does not answer. */
const fewestLate = 10;
/** Share of the heap's limit, and how many times the largest heap of an old worker, beyond which the canary's grows too fast. */
const heapShare = 0.5;
const heapFactor = 4;
/** Lengths differ from this factor on, beyond so many bytes. */
const lengthFactor = 2;
const lengthSlack = 64;

type Limits = Pick<ReloadPolicy, 'maxErrors' | 'maxLatency' | 'mirrorDifferences'>;

/** The tally with one more pair. */
export function counted(tally: MirrorTally, pair: MirrorPair, { maxLatency }: Limits): MirrorTally {
  const { old, canary } = pair;
  switch (canary.outcome) {
    case 'refused':
      return { ...tally, refused: tally.refused + 1 };
    case 'late':
      return { ...tally, late: tally.late + 1 };
    case 'failed':
    case 'hung': {
      const isWorse = !isFailure(old.status);
      return {
        ...tally,
        pairs: tally.pairs + 1,
        failed: tally.failed + Number(isWorse),
        example: tally.example ?? (isWorse ? exampleOf(pair) : null),
      };
    }
    case 'answered': {
      const [fails, failed] = [isFailure(canary.status), isFailure(old.status)];
      const isDenied = !fails && !failed && isDenial(canary.status) && !isDenial(old.status);
      const isGranted = !fails && !failed && !isDenial(canary.status) && isDenial(old.status);
      const isAlike = isSuccess(canary.status) && isSuccess(old.status);
      const hasOtherType = isAlike && canary.type !== old.type;
      const hasOtherLength = isAlike && differ(canary.length, old.length);
      const isWorse = (fails && !failed) || isDenied;
      const own = canary.waitedMs === null ? null : canary.tookMs - canary.waitedMs;
      const isSlower =
        own !== null && own > Math.max(slowFrom, old.tookMs * Math.max(slowFactor, maxLatency));
      return {
        ...tally,
        pairs: tally.pairs + 1,
        failed: tally.failed + Number(fails && !failed),
        mended: tally.mended + Number(!fails && failed),
        denied: tally.denied + Number(isDenied),
        granted: tally.granted + Number(isGranted),
        types: tally.types + Number(hasOtherType),
        lengths: tally.lengths + Number(hasOtherLength),
        changed: tally.changed + Number(hasOtherType || hasOtherLength),
        slower: tally.slower + Number(isSlower),
        example: tally.example ?? (isWorse ? exampleOf(pair) : null),
      };
    }
  }
}

/** What a request showed about the canary by itself, but for how long it took. */
export function outcomeOf(pair: MirrorPair): MirrorResult {
  const { failed, denied, changed, refused, late } = counted(emptyTally, pair, anyLatency);
  if (failed > 0) return 'failed';
  if (denied > 0) return 'denied';
  if (changed > 0) return 'changed';
  if (refused > 0) return 'refused';
  return late > 0 ? 'late' : 'same';
}

const anyLatency = { maxErrors: 0, maxLatency: Number.MAX_VALUE, mirrorDifferences: 1 };

/** What is wrong with the canary; null where nothing is, or not enough is known yet. */
export function mirrorFault(tally: MirrorTally, limits: Limits): string | null {
  return (
    doesWorse(tally, limits, proof) ?? changesMore(tally, limits) ?? isSlow(tally) ?? answersNothing(tally)
  );
}

/** As mirrorFault, where nothing more will be known. */
export function finalFault(tally: MirrorTally, limits: Limits): string | null {
  return doesWorse(tally, limits, proofAtTheEnd);
}

/** Whether more requests may show a fault that these only hint at. */
export function inDoubt(tally: MirrorTally, limits: Limits): boolean {
  return doesWorse(tally, limits, hint) !== null;
}

function doesWorse(tally: MirrorTally, { maxErrors }: Limits, bar: number): string | null {
  const { pairs, failed, mended, denied, granted, example } = tally;
  const isMore = (worse: number, better: number): boolean =>
    worse - better > pairs * maxErrors && evidence(worse, better) >= bar;
  const first = example === null ? '' : `; the first was ${example}`;
  if (isMore(failed, mended))
    return `the canary failed ${count(failed, 'mirrored request')} of ${pairs} that an old worker answered, the reverse ${mended}${first}`;
  if (isMore(denied, granted))
    return `the canary answered ${count(denied, 'mirrored request')} of ${pairs} with a status of 400 to 499 that an old worker answered with less, the reverse ${granted}${first}`;
  return null;
}

/** New releases have new pages: the operator says how many are too many. */
function changesMore({ pairs, changed }: MirrorTally, { mirrorDifferences }: Limits): string | null {
  if (pairs < fewestPairs || changed <= pairs * mirrorDifferences) return null;
  return `${changed} of the canary's ${pairs} mirrored answers had another content type or length`;
}

/** Most of them: a few slow ones are the caches, or the machine. */
function isSlow({ pairs, slower }: MirrorTally): string | null {
  if (pairs < fewestPairs || slower * 2 <= pairs) return null;
  return `${slower} of the canary's ${pairs} mirrored answers took more than ${slowFactor} times as long as those of the old workers, and more than ${slowFrom} ms`;
}

function answersNothing({ pairs, warmUp, refused, late }: MirrorTally): string | null {
  if (late < fewestLate || pairs + warmUp + refused > 0) return null;
  return `the canary answered none of ${late} mirrored requests in time`;
}

/** @param old the largest heap of an old worker, bytes */
export function heapFault({
  used,
  limit,
  old,
}: {
  readonly used: number;
  readonly limit: number;
  readonly old: number;
}): string | null {
  if (old === 0 || used <= limit * heapShare || used <= old * heapFactor) return null;
  return `the canary's heap grew to ${mebibytes(used)} MiB by mirrored requests, those of the old workers have at most ${mebibytes(old)} MiB`;
}

/** What came of it, for the record. */
export function describeTally(tally: MirrorTally): string {
  const { pairs, failed, mended, denied, granted, types, lengths, slower, refused, late } = tally;
  const parts = [
    `${count(pairs, 'request')} compared`,
    `${failed} failed (the reverse ${mended})`,
    denied + granted === 0 ? null : `${denied} answered with 4xx (the reverse ${granted})`,
    types === 0 ? null : `${types} of another content type`,
    lengths === 0 ? null : `${lengths} of another length`,
    slower === 0 ? null : `${slower} far slower`,
    refused === 0 ? null : `${refused} refused`,
    late === 0 ? null : `${late} not in time`,
  ];
  return parts.filter((part) => part !== null).join(', ');
}

/**
 * What evidence is proof, while there is more to come and at the end; and from where on it is worth asking for more. If the
 * canary does as the others do it reaches N with a probability of at most 1/N.
 */
const proof = 2_000;
const proofAtTheEnd = 500;
const hint = 10;

/** Each way of betting: the share of the pairs in which it expects the canary to be the worse one, and its part of the stake. */
const bets: readonly (readonly [share: number, stake: number])[] = [
  [0.99, 0.5],
  [0.9, 0.2],
  [0.75, 0.2],
  [0.6, 0.1],
];

/**
 * A bet against "either is as likely to be the worse one": what several ways of betting, each with a part of a stake of 1,
 * have made of it. If the two are alike, it ever reaches N with a probability of at most 1/N, however often one looks
 * (Ville's inequality for non-negative martingales).
 */
export function evidence(worse: number, better: number): number {
  return bets.reduce(
    (sum, [share, stake]) => sum + stake * (2 * share) ** worse * (2 * (1 - share)) ** better,
    0,
  );
}

function isFailure(status: number): boolean {
  return status >= 500;
}

function isDenial(status: number): boolean {
  return status >= 400 && status < 500;
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

function differ(one: MirrorAnswer['length'], other: MirrorAnswer['length']): boolean {
  if (one === null || other === null) return false;
  return Math.max(one, other) > Math.min(one, other) * lengthFactor + lengthSlack;
}

function exampleOf({ method, path, old, canary }: MirrorPair): string {
  const what = {
    answered: 'status' in canary ? `status ${canary.status}` : '',
    refused: '',
    failed: 'no answer',
    hung: 'no answer in time',
    late: '',
  }[canary.outcome];
  return `${method} ${path}: ${what} instead of ${old.status}`;
}
