import { cpus } from 'node:os';
import type { Contender } from './contender.js';
import { direct } from './daemon.js';
import { behindNginx } from './nginx.js';
import { pm2, pm2Draining } from './pm2.js';
import { lostIn, report } from './report.js';
import { type Outcome, reloadUnderLoad } from './rounds.js';

/** In the order of a run; RELOADS_ONLY names one or more of them. */
const contenders: Readonly<Record<string, Contender>> = {
  direct,
  nginx: behindNginx,
  pm2,
  'pm2-draining': pm2Draining,
};

/** The exit status tells whether rom-agent lost anything; of the others it is a figure. */
async function main(): Promise<void> {
  const rounds = wantedRounds();
  const outcomes: Outcome[] = [];
  for (const contender of wanted()) {
    outcomes.push(await reloadUnderLoad(contender, Math.max(1, Math.round(rounds * contender.share))));
  }
  const [cpu] = cpus();
  process.stdout.write(`\nNode ${process.version}, ${cpus().length} CPUs (${cpu?.model ?? 'unknown'})\n\n`);
  process.stdout.write(`${report(outcomes)}\n`);
  for (const { name, load } of outcomes) {
    for (const example of load.examples) process.stdout.write(`${name}: ${example}\n`);
  }
  const own = new Set([direct.name, behindNginx.name]);
  if (outcomes.some(({ name, load }) => own.has(name) && lostIn(load) > 0)) process.exitCode = 1;
}

function wantedRounds(): number {
  const text = process.env.RELOADS || '200';
  const rounds = Number(text);
  if (Number.isInteger(rounds) && rounds > 0) return rounds;
  throw new Error(`RELOADS: ${JSON.stringify(text)}; expected a whole number from 1`);
}

function wanted(): readonly Contender[] {
  const only = process.env.RELOADS_ONLY?.split(',') ?? Object.keys(contenders);
  return only.map((name) => {
    const contender = contenders[name];
    if (contender !== undefined) return contender;
    const names = Object.keys(contenders).join(', ');
    throw new Error(`RELOADS_ONLY: ${JSON.stringify(name)}; expected some of ${names}`);
  });
}

try {
  await main();
} catch (error) {
  process.stderr.write(`reloads: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
