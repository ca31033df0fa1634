/** What a dump program prints, as a stream that ends only where the program ended well. */
import { asMailarkError, MailarkError } from "../../../core/errors.ts";
import type { RunningProcess } from "../../processes.ts";
import { watchForStalls } from "../../stall-watch.ts";
import type { World } from "../component.ts";
import type { Connection } from "./connection.ts";

/**
 * The program runs from the first read on, and is ended with the stream.
 *
 * @throws MailarkError `DUMP_FAILED` when the program fails; `PROGRAM_STALLED` when it prints nothing for the connection's
 *   `stallSeconds` while it is read.
 */
export async function* dumpOutput(
  program: string,
  args: readonly string[],
  connection: Connection,
  { processes, clock, signal }: Pick<World, "processes" | "clock" | "signal">,
): AsyncGenerator<Buffer> {
  const running = await connection.through(processes).start(connection.leashed(program, args), { signal });
  const watch = watchForStalls(clock, connection.stallSeconds);
  const stalled = watch.stalled.then((): never => {
    const reason = stall(program, running, connection);
    running.stdout.destroy(reason);
    throw reason;
  });
  stalled.catch(() => {});
  try {
    const chunks = running.stdout[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    for (;;) {
      watch.wait();
      const next = await chunks.next();
      watch.goOn();
      if (next.done) break;
      yield next.value;
    }
    watch.wait();
    judge(program, running, await Promise.race([running.exited, stalled]), connection);
  } catch (error) {
    signal.throwIfAborted();
    throw asMailarkError(error);
  } finally {
    watch.end();
    running.stdin.end();
    running.kill("SIGKILL");
  }
}

function stall(program: string, running: RunningProcess, connection: Connection): MailarkError {
  return new MailarkError(
    "PROGRAM_STALLED",
    `${program} printed nothing for ${connection.stallSeconds} s and was ended`,
    {
      hint: "look for a lock that is held in the database (pg_locks), or raise stallSeconds",
      detail: connection.scrub(running.complaint()),
      retryable: true,
    },
  );
}

function judge(
  program: string,
  running: RunningProcess,
  exit: Awaited<RunningProcess["exited"]>,
  connection: Connection,
): void {
  if (exit.code === 0) return;
  const how = exit.signal === undefined ? `exit status ${exit.code}` : `signal ${exit.signal}`;
  const complaint = connection.scrub(running.complaint());
  const changed = /does not exist|cache lookup failed|could not open relation/.test(complaint);
  const gone =
    /server closed the connection|terminating connection|canceling statement|shutting down|no connection/.test(
      complaint,
    );
  throw new MailarkError(
    "DUMP_FAILED",
    `${program} failed with ${how}${changed ? ": something was changed during the dump" : ""}`,
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
