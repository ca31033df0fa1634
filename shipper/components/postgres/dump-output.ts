/** What a dump program prints, as a stream that ends only where the program ended well. */
import { MailarkError } from "../../../core/errors.ts";
import { type Exit, howEnded } from "../../processes.ts";
import { printedNothing, watchedOutput } from "../../watched-output.ts";
import type { World } from "../component.ts";
import type { Connection } from "./connection.ts";

/**
 * The program runs from the first read on, and is ended with the stream.
 *
 * @param before words that start the program.
 * @throws MailarkError `DUMP_FAILED` when the program fails; `PROGRAM_STALLED` when it prints nothing for the connection's
 *   `stallSeconds` while it is read.
 */
export async function* dumpOutput(
  program: string,
  args: readonly string[],
  connection: Connection,
  { processes, clock, signal }: Pick<World, "processes" | "clock" | "signal">,
  before: readonly string[] = [],
): AsyncGenerator<Buffer> {
  const running = await connection.through(processes).start(connection.leashed(program, args, before), { signal });
  const { stallSeconds, scrub } = connection;
  const stalled = () =>
    printedNothing(program, stallSeconds, {
      hint: "look for a lock that is held in the database (pg_locks), or raise stallSeconds",
      detail: scrub(running.complaint()),
    });
  const expectation = {
    stallSeconds,
    stalled,
    judge: (exit: Exit) => judge(program, exit, scrub(running.complaint())),
  };
  yield* watchedOutput(running, expectation, { clock, signal });
}

function judge(program: string, exit: Exit, complaint: string): void {
  if (exit.code === 0) return;
  const changed = /does not exist|cache lookup failed|could not open relation/.test(complaint);
  const gone =
    /server closed the connection|terminating connection|canceling statement|shutting down|no connection/.test(
      complaint,
    );
  throw new MailarkError(
    "DUMP_FAILED",
    `${program} failed with ${howEnded(exit)}${changed ? ": something was changed during the dump" : ""}`,
    {
      detail: complaint,
      retryable: changed || gone,
      ...(changed && { hint: "run the backup again, apart from changes of the schema" }),
      ...(/permission denied|row-level security/.test(complaint) && {
        hint: "let the backup run as a superuser, or as a role with pg_read_all_data and BYPASSRLS",
      }),
      ...(/server version mismatch/.test(complaint) && {
        hint: "install client programs that are at least as new as the server",
      }),
    },
  );
}
