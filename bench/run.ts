/**
 * `npm run bench [name…] [-- --rounds N]`: measures mailark side by side with what it replaces, and fails when it does not keep what it
 * promises. Exit status 1: a promise is broken, or a bench could not be run; 2: a mistake in the command line.
 */
import { parseArgs } from "node:util";
import { facts, table } from "../shipper/terminal/table.ts";
import { age } from "./age.ts";
import { host } from "./host.ts";
import { loadText, machineFacts } from "./machine.ts";
import { mysql } from "./mysql.ts";
import { postgres } from "./postgres.ts";
import type { Bench } from "./report.ts";
import { s3 } from "./s3.ts";

const benches: Readonly<Record<string, Bench>> = { age, host, mysql, postgres, s3 };

process.exitCode = await main(process.argv.slice(2));

async function main(words: string[]): Promise<number> {
  const asked = readCommandLine(words);
  if (asked === undefined) {
    console.error(`usage: npm run bench [${Object.keys(benches).join("|")}…] [-- --rounds N]`);
    return 2;
  }
  const programs = new Set(asked.names.flatMap((name) => benches[name]!.programs));
  console.log(facts(machineFacts([...programs])));
  let broken = 0;
  for (const name of asked.names) broken += await perform(name, benches[name]!, asked.rounds);
  console.log(broken === 0 ? "PASS" : `FAIL: ${broken}`);
  return broken === 0 ? 0 : 1;
}

function readCommandLine(words: string[]): { names: string[]; rounds?: number } | undefined {
  try {
    const { values, positionals } = parseArgs({
      args: words,
      options: { rounds: { type: "string" } },
      allowPositionals: true,
    });
    const names = positionals.length > 0 ? positionals : Object.keys(benches);
    if (names.some((name) => !Object.hasOwn(benches, name))) return undefined;
    if (values.rounds === undefined) return { names };
    return /^[1-9]\d*$/.test(values.rounds) ? { names, rounds: Number(values.rounds) } : undefined;
  } catch {
    return undefined;
  }
}

/** Prints what one bench found; returns how many of its promises are broken. */
async function perform(name: string, bench: Bench, rounds: number | undefined): Promise<number> {
  console.log(`${name}: ${bench.title}`);
  const before = loadText();
  try {
    const { columns, rows, notes, verdicts } = await bench.run({
      say: (doing) => console.error(`  ${doing}`),
      ...(rounds !== undefined && { rounds }),
    });
    console.log(`\n${table(columns, rows)}`);
    for (const note of [...notes, `load before ${before}, after ${loadText()}`]) console.log(`  ${note}`);
    for (const { passed, text } of verdicts) console.log(`  ${passed ? "PASS" : "FAIL"}  ${text}`);
    console.log("");
    return verdicts.filter(({ passed }) => !passed).length;
  } catch (error) {
    console.error(error);
    console.log(`  FAIL  ${name} could not be measured: ${error instanceof Error ? error.message : error}\n`);
    return 1;
  }
}
