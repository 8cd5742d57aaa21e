import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { corpusFor, generated, minimal } from './campaign.js';
import { each, type NextScript, playRound, type RoundOptions, type RoundResult } from './round.js';
import { fromJson, type ServerName, serverNames, toJson } from './script.js';
import { type Mode, modes } from './services.js';
import { buildVariant, restless } from './variant.js';

/** Scripts of one round, which has services of its own. */
const scriptsOfRound = 400;

interface Plan {
  readonly seed: number;
  readonly seconds: number;
  readonly lanes: number;
  readonly modes: readonly Mode[];
  readonly servers: readonly ServerName[];
  /** Their executables. */
  readonly nodes: readonly string[];
  /** Instead of the corpus and generated ones. */
  readonly file: string | undefined;
}

/** `make fuzz`: CONTRIBUTING.md says which variables there are. Ends with 1 where something differs. */
async function main(): Promise<void> {
  const plan = planOf(process.env);
  say(`seed ${plan.seed}: FUZZ_SEED=${plan.seed} plays the same scripts`);
  const folder = mkdtempSync(join(tmpdir(), 'rom-agent-fuzz-'));
  try {
    const mainFile = await buildVariant(folder, restless);
    const failed = await campaign(plan, mainFile);
    if (failed) process.exitCode = 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Whether anything was found. The corpus comes first, for every mode and node; then new scripts until the time is up. */
async function campaign(plan: Plan, mainFile: string): Promise<boolean> {
  const deadline = performance.now() + plan.seconds * 1_000;
  let failed = false;
  for (let turn = 0; turn === 0 || (plan.file === undefined && performance.now() < deadline); turn++) {
    for (const node of plan.nodes) {
      for (const mode of plan.modes) {
        if (turn > 0 && performance.now() >= deadline) break;
        const options: RoundOptions = { mode, node, main: mainFile, lanes: plan.lanes };
        const result = await playRound(scriptsOf(plan, { mode, turn }), options);
        say(`${mode}, ${node}, turn ${turn}: ${summary(result)}`);
        if (result.findings.length > 0) failed = true;
        await tell(result, options);
      }
    }
  }
  return failed;
}

function scriptsOf(plan: Plan, { mode, turn }: { mode: Mode; turn: number }): NextScript {
  if (plan.file !== undefined) return each([fromJson(readFileSync(plan.file, 'utf8'))], plan.lanes);
  if (turn === 0) return each(corpusFor(mode), 4);
  const seed = plan.seed + (turn - 1) * scriptsOfRound;
  return generated({ mode, seed, count: scriptsOfRound, servers: plan.servers });
}

/** Each finding once, and the first script of all as small as it gets. */
async function tell({ findings }: RoundResult, options: RoundOptions): Promise<void> {
  const lines = findings.map(({ script, what }) =>
    script === null ? what : `${script.server}, ${script.name}: ${what}`,
  );
  for (const line of new Set(lines))
    say(`  ${lines.filter((other) => other === line).length} times: ${line}`);
  const first = findings.find(({ script }) => script !== null);
  if (first === undefined) return;
  const script = await minimal(first, options);
  if (script !== null) say(`  the smallest script that differs, for FUZZ_SCRIPT:\n${toJson(script)}`);
}

function planOf(env: NodeJS.ProcessEnv): Plan {
  return {
    seed: Number(env.FUZZ_SEED ?? Math.floor(Math.random() * 1_000_000_000)),
    seconds: Number(env.FUZZ_SECONDS ?? 3_600),
    lanes: Number(env.FUZZ_LANES ?? 24),
    modes: chosen(env, { name: 'FUZZ_MODES', from: modes, unless: modes.slice(0, 5) }),
    servers: chosen(env, { name: 'FUZZ_SERVERS', from: serverNames, unless: serverNames }),
    nodes: (env.FUZZ_NODES ?? process.execPath).split(','),
    file: env.FUZZ_SCRIPT,
  };
}

function chosen<T extends string>(
  env: NodeJS.ProcessEnv,
  { name, from, unless }: { name: string; from: readonly T[]; unless: readonly T[] },
): readonly T[] {
  const words = env[name]?.split(',');
  if (words === undefined) return unless;
  return words.map((word) => {
    const found = from.find((each) => each === word);
    if (found === undefined) throw new Error(`${name} is ${word}, expected of ${from.join(', ')}`);
    return found;
  });
}

function summary({ scripts, answers, moves, disturbances, findings }: RoundResult): string {
  return `${scripts} scripts, ${answers} answers, ${moves} moves, ${disturbances} kills or reloads, ${findings.length} findings`;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

await main();
