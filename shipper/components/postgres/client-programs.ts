/** Where the client programs of this machine really are, and how the one that prints much is started. */
import { outputOf } from "../../processes.ts";
import type { World } from "../component.ts";

/**
 * Debian's `psql` and `pg_dump` are a Perl program that looks, each time anew and in 40 ms, for the real one: that of the newest release or, for
 * a dump, of whatever cluster has the default port, which may be too old for the server that is dumped (pg_wrapper(1)).
 *
 * @returns the directory of the newest release's programs; `undefined` where the shell finds others, or none.
 */
export async function debianPrograms({ processes, signal }: Pick<World, "processes" | "signal">) {
  const found = await outputOf(processes, ["sh", "-c", newest], { signal }).catch(() => Buffer.alloc(0));
  signal.throwIfAborted();
  return (
    found
      .toString("utf8")
      .trim()
      .replace(/\/psql$/, "") || undefined
  );
}

const newest = `
case $(readlink -f "$(command -v psql)") in
  */pg_wrapper) ls -d /usr/lib/postgresql/*/bin/psql | sort -V | tail -n 1 ;;
esac`;

/**
 * The words before a program that make it write 64 KiB at a time instead of 4: each write wakes the reader up, and that costs the two of them a
 * quarter of a dump's time.
 *
 * @param place the words that lead to where the program is.
 * @returns none where stdbuf (of GNU coreutils) is not there.
 */
export async function wideOutput(
  place: readonly string[],
  { processes, signal }: Pick<World, "processes" | "signal">,
): Promise<readonly string[]> {
  const version = [...place, "stdbuf", "--version"] as unknown as [string, ...string[]];
  const found = await outputOf(processes, version, { signal }).then(
    () => true,
    () => false,
  );
  signal.throwIfAborted();
  return found ? ["stdbuf", "--output=65536"] : [];
}
