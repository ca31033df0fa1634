/** What a dump program prints, as a stream that ends only where the program says that it is whole. */
import { MailarkError } from "../../../core/errors.ts";
import { type Exit, howEnded } from "../../processes.ts";
import { printedNothing, watchedOutput } from "../../watched-output.ts";
import type { World } from "../component.ts";
import type { Connection, Program } from "./connection.ts";

/** The last line of a dump; without it the dump was cut off. */
export const completionMark = /\n-- Dump completed( on [^\n]*)?\n$/;

/**
 * The program runs from the first read on, and is ended with the stream. Its exit status is judged here; the mark at the end is
 * for whom reads the text: see {@link completionMark}.
 *
 * @throws MailarkError `DUMP_FAILED` when the program fails; `PROGRAM_STALLED` when it prints nothing for the connection's
 *   `stallSeconds` while it is read.
 */
export async function* dumpOutput(
  program: Program,
  args: readonly string[],
  connection: Connection,
  { processes, clock, signal }: Pick<World, "processes" | "clock" | "signal">,
): AsyncGenerator<Buffer> {
  const command = connection.leashed(program.name, args);
  const running = await connection.through(processes).start(command, { env: connection.env, signal });
  const { stallSeconds, scrub } = connection;
  const stalled = () =>
    printedNothing(program.name, stallSeconds, {
      hint: "look for a lock that is held in the database (SHOW PROCESSLIST), or raise stallSeconds",
      detail: scrub(running.complaint()),
    });
  const expectation = {
    stallSeconds,
    stalled,
    judge: (exit: Exit) => judge(program.name, exit, scrub(running.complaint())),
  };
  yield* watchedOutput(running, expectation, { clock, signal });
}

/** Errors of a dump that met a change of a definition: 1412, 1146, 1049, 1054, 1356 pass with the next attempt. */
const changedUnderneath = /\b(1412|1146|1049|1054|1356)\b|Table definition has changed|doesn't exist/;

function judge(program: string, exit: Exit, complaint: string): void {
  if (exit.code === 0) return;
  const changed = changedUnderneath.test(complaint);
  throw new MailarkError(
    "DUMP_FAILED",
    `${program} failed with ${howEnded(exit)}${changed ? ": a table was changed during the dump" : ""}`,
    {
      detail: complaint,
      retryable: changed || /\b(1205|1213|2006|2013)\b/.test(complaint),
      ...(changed && { hint: "run the backup again, apart from changes of the schema" }),
      ...(/\b1227\b|Access denied/.test(complaint) && {
        hint: "give the account SELECT, SHOW VIEW, TRIGGER, EVENT, RELOAD, PROCESS and BINLOG MONITOR (REPLICATION CLIENT)",
      }),
    },
  );
}

/**
 * Passes a whole dump through.
 *
 * @throws MailarkError `DUMP_TRUNCATED` when it does not end with the mark.
 */
export async function* marked(program: Program, source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let end = Buffer.alloc(0);
  for await (const chunk of source) {
    end = Buffer.concat([end, chunk.subarray(-200)]).subarray(-200);
    yield chunk;
  }
  if (!completionMark.test(end.toString("latin1"))) throw truncated(program.name);
}

export function truncated(program: string): MailarkError {
  return new MailarkError("DUMP_TRUNCATED", `${program} ended without the mark of a complete dump`, {
    hint: "look for a full disk, a killed process or an option file that sets skip-comments or compact",
    retryable: true,
  });
}
