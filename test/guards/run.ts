/**
 * `npm run test:guards [WORD…]`: takes out one guard of the product after the other, in a copy, and requires that the test which is
 * named for it turns red. A guard whose removal nobody notices is not tested, whatever the coverage says.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { copyRepository, makeTemporary } from "./copy.ts";
import { complaintOf, type Guard, type NamedTest } from "./guard.ts";
import { guards } from "./guards.ts";
import { type RunOptions, runTests } from "./runner.ts";

const repository = fileURLToPath(new URL("../..", import.meta.url));
const workers = 2;
/** For a test that waits for ever without its guard, in milliseconds. */
const patience = 15_000;

interface Verdict {
  readonly good: boolean;
  /** One word for the table. */
  readonly word: string;
  readonly why?: string;
}

const words = process.argv.slice(2).map((word) => word.toLowerCase());
const chosen = guards.filter(({ guard, file, test }) => {
  const text = `${guard} ${file} ${test.file} ${test.name}`.toLowerCase();
  return words.every((word) => text.includes(word));
});

const interruption = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => interruption.abort());
// Short, since the sockets of servers lie below; and open to the users that they run as.
const scratch = mkdtempSync(join(tmpdir(), "mg-"));
try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  if (!interruption.signal.aborted) throw error;
  process.exitCode = 130;
} finally {
  rmSync(scratch, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}

async function main(): Promise<boolean> {
  const startedAt = Date.now();
  makeTemporary(scratch);
  const places = Array.from({ length: Math.min(workers, chosen.length) }, (_, number) => {
    const place = { directory: join(scratch, `copy${number}`), temporary: join(scratch, `t${number}`) };
    copyRepository(repository, place.directory);
    makeTemporary(place.temporary);
    return { ...place, signal: interruption.signal };
  });

  const unsound = await unsoundTests(places);
  say(
    `${chosen.length} guards, ${unsound.size === 0 ? "all tests pass with them" : "some tests do not pass as it is"}\n`,
  );
  const width = Math.max(...chosen.map(({ guard }) => guard.length), 0);
  let failed = 0;
  await inParallel(places, chosen, async (guard, place) => {
    const begun = Date.now();
    const verdict = unsound.get(nameOf(guard.test)) ?? (await judge(guard, place));
    if (!verdict.good) failed += 1;
    const time = `${((Date.now() - begun) / 1000).toFixed(1)} s`.padStart(7);
    say(`${verdict.word.padEnd(9)} ${time}  ${guard.guard.padEnd(width)}  ${guard.test.file}: ${guard.test.name}`);
    if (verdict.why) say(`          ${guard.file}: ${verdict.why.replaceAll("\n", "\n          ")}`);
  });
  say(`\n${((Date.now() - startedAt) / 1000).toFixed(0)} s`);
  say(`${chosen.length - failed} passed, ${failed} failed`);
  return failed === 0 && chosen.length > 0;
}

/** A test that is red already proves nothing. Each file is run once. */
async function unsoundTests(places: readonly RunOptions[]): Promise<Map<string, Verdict>> {
  const unsound = new Map<string, Verdict>();
  const files = Map.groupBy(
    new Map(chosen.map(({ test }) => [nameOf(test), test])).values(),
    (test: NamedTest) => test.file,
  );
  await inParallel(places, [...files], async ([file, tests], place) => {
    const outcomes = await runTests(file, tests, place);
    for (const [index, outcome] of outcomes.entries()) {
      if (outcome.kind === "passed") continue;
      const why = `the test does not pass as it is: ${"why" in outcome ? outcome.why : outcome.kind}`;
      unsound.set(nameOf(tests[index]!), { good: false, word: "UNSOUND", why });
    }
  });
  return unsound;
}

async function judge(guard: Guard, place: RunOptions): Promise<Verdict> {
  const path = join(place.directory, guard.file);
  const text = readFileSync(path, "utf8");
  const complaint = complaintOf(guard, text);
  if (complaint !== undefined) return { good: false, word: "OUTDATED", why: complaint };
  // Split and joined, because a replacement may hold what `replace` takes for a pattern.
  writeFileSync(path, text.split(guard.find).join(guard.replace));
  try {
    const [outcome] = await runTests(guard.test.file, [guard.test], {
      ...place,
      ...(guard.hangs && { testTimeout: patience }),
    });
    switch (outcome!.kind) {
      case "failed":
        return { good: true, word: "red" };
      case "timed out":
        if (guard.hangs) return { good: true, word: "red" };
        return { good: false, word: "TIMED OUT", why: "the test did not end in time, which proves nothing" };
      case "passed":
        return { good: false, word: "GREEN", why: "nobody notices that this guard is gone" };
      default:
        return { good: false, word: "NOT RUN", why: outcome!.why };
    }
  } finally {
    writeFileSync(path, text);
  }
}

async function inParallel<T>(
  places: readonly RunOptions[],
  work: readonly T[],
  perform: (item: T, place: RunOptions) => Promise<void>,
): Promise<void> {
  const queue = [...work];
  await Promise.all(
    places.map(async (place) => {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) await perform(item, place);
    }),
  );
}

function nameOf({ file, name }: NamedTest): string {
  return `${file}: ${name}`;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
