/**
 * One view of the data for two readers, the dump and the facts, at one position of the binary log.
 *
 * Nothing can export a MariaDB snapshot, so commits are held back for the moment in which both readers take theirs: session A
 * `BACKUP STAGE BLOCK_COMMIT`; session B and the dump start their transactions; A lets go. They are different sessions, because the end of a
 * stage commits. Whoever waits to commit waits for that moment only: a few hundred milliseconds at most, and never more than
 * {@link longestBlock}.
 */
import { MailarkError } from "../../../core/errors.ts";
import type { World } from "../component.ts";
import type { Connection } from "./connection.ts";
import type { Server } from "./server.ts";
import { openSession, type Session, serverErrorOf } from "./session.ts";

/** Milliseconds for which commits may be held back. */
const longestBlock = 5000;
/** Seconds that the block itself may wait for statements that run; others would queue up behind it. */
const lockWait = 3;

export interface CommitBlock {
  /** Lets commits go on. Returns whether they were held back until now. May be called again. */
  release(): Promise<boolean>;
}

/**
 * Holds commits back. `undefined` where that is not possible: another server than MariaDB, no privilege, or a statement that runs
 * too long to wait for it.
 */
export async function blockCommits(
  connection: Connection,
  server: Server,
  world: World,
): Promise<CommitBlock | undefined> {
  if (server.flavour !== "mariadb") return undefined;
  const session = await openSession(connection, world);
  try {
    await session.query(`SET SESSION lock_wait_timeout=${lockWait}`);
    await session.query("BACKUP STAGE START");
    await session.query("BACKUP STAGE BLOCK_COMMIT");
  } catch (error) {
    await session.close();
    world.signal.throwIfAborted();
    // Privileges (1227, 1044, 1045), waited too long (1205), an old server (1064), a backup that runs already (4145 and its like).
    if (serverErrorOf(error) !== undefined) return undefined;
    throw error;
  }
  return blockOf(session, world);
}

function blockOf(session: Session, { clock }: World): CommitBlock {
  const done = new AbortController();
  let held: Promise<boolean> | undefined;
  const release = (inTime: boolean) => {
    held ??= (async () => {
      done.abort();
      try {
        await session.query("BACKUP STAGE END");
        return inTime;
      } catch {
        // The connection is gone and the block with it, nobody knows since when.
        return false;
      } finally {
        await session.close();
      }
    })();
    return held;
  };
  clock.sleep(longestBlock, done.signal).then(
    () => release(false),
    () => {},
  );
  return { release: () => release(true) };
}

/** A session that will see, from `START TRANSACTION WITH CONSISTENT SNAPSHOT` on, the data that was committed by then. */
export async function openView(connection: Connection, world: World): Promise<Session> {
  // While a session could write to the binary log the server keeps its locks on the definition of every table that it has read, and
  // ALTER TABLE, with everybody behind it, waits. This one only reads.
  for (const unlogged of [true, false]) {
    const session = await openSession(connection, world);
    try {
      await session.query("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ");
      if (unlogged) await session.query("SET SESSION sql_log_bin=0");
      return session;
    } catch (error) {
      await session.close();
      if (!unlogged || serverErrorOf(error) === undefined) throw error;
    }
  }
  throw new MailarkError("INTERNAL", "a view was neither opened nor refused");
}
