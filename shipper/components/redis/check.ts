/** Asks a staged server for its keys, and compares them with what was counted in the file when it was captured. */
import { asMailarkError } from "../../../core/errors.ts";
import type { Check, World } from "../component.ts";
import { isAsWritten } from "../staged-files.ts";
import type { Connection } from "./connection.ts";
import { type CountedKeys, countKeys } from "./count-keys.ts";
import type { DatabaseFacts, Facts } from "./facts.ts";
import { askKeyspace, askLibraries, askUsers, userName } from "./server.ts";
import type { StagedRedis } from "./staged.ts";

type Judgement = Pick<Check, "outcome" | "detail">;
const passed = (detail: string): Judgement => ({ outcome: "passed", detail });
const failed = (detail: string): Judgement => ({ outcome: "failed", detail });
const unproven = (detail: string): Judgement => ({ outcome: "unproven", detail });

/** One check for the file, one for each database, for functions, users and what is on hold. */
export async function checkRedis(staged: StagedRedis, world: World): Promise<Check[]> {
  const { connection, facts } = staged;
  const checks: Check[] = [];
  if (staged.written) {
    const broken = staged.written.filter((file) => !isAsWritten(world.files, file)).map(({ path }) => path);
    const verdict =
      broken.length > 0
        ? failed(`not what was written: ${broken.join(", ")}`)
        : passed(`${staged.written.length} files are whole`);
    return [
      { name: "files", ...verdict },
      { name: "loading", ...unproven("files were written, no server has loaded them") },
    ];
  }
  if (staged.recounted) checks.push({ name: "file", ...checkFile(staged) });
  if (staged.appendOnly) checks.push({ name: "append-only files", ...checkAppendOnly(staged.appendOnly) });
  if (connection === undefined) {
    return [...checks, { name: "loading", ...unproven("there is no redis-server to load the file into") }];
  }
  const numbers = new Set(
    [...facts.databases, ...(await askKeyspace(connection)).map(({ database }) => ({ number: database }))].map(
      ({ number }) => number,
    ),
  );
  if (!facts.counted) {
    checks.push({
      name: "keys",
      ...unproven("the file holds what could not be counted when it was captured; a server has loaded it"),
    });
  } else {
    for (const number of [...numbers].toSorted((a, b) => a - b)) {
      world.progress(`checking database ${number}`);
      checks.push({ name: `database ${number}`, ...(await checkDatabase(staged, connection, number, world)) });
    }
    if (numbers.size === 0) checks.push({ name: "keys", ...passed("there are none, as when captured") });
  }
  checks.push({ name: "functions", ...(await checkLibraries(facts, connection)) });
  checks.push({ name: "accounts", ...(await checkUsers(facts, connection)) });
  if (staged.held) {
    const told = [...staged.held].map(([database, count]) => `${count} in database ${database}`);
    checks.push({
      name: "on hold",
      ...passed(
        told.length === 0 ? "no key is on hold" : `${told.join(", ")}: see the guide for how they are released`,
      ),
    });
  }
  return checks;
}

/** What can be said without a server. */
function checkFile({ facts, recounted, verdict }: StagedRedis): Judgement {
  if (verdict?.problem !== undefined) return failed(verdict.problem);
  const same = JSON.stringify(recounted) === JSON.stringify({ databases: facts.databases, libraries: facts.libraries });
  if (facts.counted && !same) return failed("its keys are not those that were counted when it was captured");
  const counted = facts.counted
    ? "its end, checksum and keys are those of the capture"
    : "its end and checksum are whole";
  return passed(verdict ? `${counted}; redis-check-rdb finds nothing` : `${counted}; there is no redis-check-rdb`);
}

function checkAppendOnly({ files, checked, problem }: NonNullable<StagedRedis["appendOnly"]>): Judgement {
  if (!checked) return unproven(`${files} files, and no redis-check-aof`);
  // Nothing else depends on them: dump.rdb has the data.
  if (problem !== undefined) return unproven(`the last command may be cut off, which a server drops: ${problem}`);
  return passed(`redis-check-aof finds nothing in ${files} files`);
}

async function checkDatabase(
  { facts, loaded, held }: StagedRedis,
  connection: Connection,
  number: number,
  { clock }: World,
): Promise<Judgement> {
  const expected = facts.databases.find((each) => each.number === number);
  if (expected === undefined) return failed("there are keys, none when captured");
  const before = loaded?.find(({ database }) => database === number);
  if (loaded && (before?.keys !== expected.keys || before.expiring !== expected.expiring)) {
    return failed(
      `the server loaded ${before?.keys ?? 0} keys, ${before?.expiring ?? 0} that expire; ${expected.keys} and ${expected.expiring} when captured`,
    );
  }
  let found: CountedKeys;
  try {
    found = await countKeys(connection, number, (held?.get(number) ?? 0) > 0);
  } catch (error) {
    const { detail, code } = asMailarkError(error);
    if (code !== "PROGRAM_FAILED" || !/NOPERM|unknown command/i.test(detail ?? "")) throw error;
    return unproven("the account may not run the script that counts keys");
  }
  return compare(expected, found, clock.now());
}

function compare(expected: DatabaseFacts, found: CountedKeys, now: number): Judgement {
  for (const type of new Set([...Object.keys(expected.types), ...Object.keys(found.types)])) {
    const [stay, expire] = expected.types[type] ?? [0, 0];
    const [stays, expires] = found.types[type] ?? [0, 0];
    if (stays !== stay) return failed(`${stays} keys of type ${type} without an expiry, ${stay} when captured`);
    if (expires > expire) return failed(`${expires} keys of type ${type} that expire, ${expire} when captured`);
  }
  if (expected.digest !== undefined && expected.digest !== found.digest) {
    return failed("names, sizes or values of keys without an expiry are not those of the capture");
  }
  const present = sum(found, 1);
  const due = expected.expiries.reduce((total, [minute, count]) => total + (minute * 60_000 > now ? count : 0), 0);
  if (present < due) return failed(`${present} keys that expire, of which ${due} should still be there`);
  const gone = expected.expiring - present;
  const counted = `${sum(found, 0)} keys that stay and ${present} that expire are there${gone > 0 ? `, ${gone} have expired meanwhile` : ""}`;
  if (expected.digest !== undefined) return passed(`${counted}; names, sizes and strings are those of the capture`);
  return unproven(`${counted}; some of their sizes were not known when captured`);
}

const sum = (found: CountedKeys, which: 0 | 1) =>
  Object.values(found.types).reduce((total, counts) => total + counts[which], 0);

async function checkLibraries({ libraries }: Facts, connection: Connection): Promise<Judgement> {
  const present = await askLibraries(connection);
  const missing = libraries.filter((name) => !present.includes(name));
  if (missing.length > 0) return failed(`missing: ${missing.join(", ")}`);
  return passed(libraries.length === 0 ? "there were none" : `all ${libraries.length} libraries are there`);
}

async function checkUsers({ users }: Facts, connection: Connection): Promise<Judgement> {
  const present = (await askUsers(connection)).map(userName);
  const missing = users.filter((name) => !present.includes(name));
  if (missing.length > 0) return failed(`missing: ${missing.join(", ")}`);
  if (users.length === 0) return unproven("the snapshot holds none, or they could not be read");
  return passed(`all ${users.length} are there`);
}
