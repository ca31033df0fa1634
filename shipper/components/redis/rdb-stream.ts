/**
 * The server's RDB file as it comes to a replica (`redis-cli --rdb -`): one fork, one moment, no file of the server is read, and a
 * server elsewhere is not different. What comes after the file, the 40 bytes that end a diskless transfer, is left out.
 */
import { MailarkError } from "../../../core/errors.ts";
import { type Exit, howEnded } from "../../processes.ts";
import { watchedOutput } from "../../watched-output.ts";
import type { World } from "../component.ts";
import { type Connection, explained, stalled } from "./connection.ts";
import { Crc64 } from "./crc64.ts";
import { RdbReader, type RdbVisitor } from "./rdb.ts";

const markBytes = 40;
const checksumBytes = 8;
const tailBytes = markBytes + checksumBytes;

/** What is known of a file once all of it was read. */
export interface RdbVerdict {
  /** Whether the visitor was told everything. */
  readonly understood: boolean;
  /** Whether the server wrote a checksum. */
  readonly checked: boolean;
}

/**
 * The file, byte for byte. `verdict` is called after its last byte.
 *
 * @throws MailarkError `DUMP_FAILED` when the program fails, `PROGRAM_STALLED`, `DUMP_TRUNCATED` when the end mark is missing or the
 *   checksum is another: after the last byte, so that nothing may be believed before.
 */
export async function* rdbStream(
  connection: Connection,
  visitor: RdbVisitor,
  verdict: (verdict: RdbVerdict) => void,
  world: Pick<World, "processes" | "clock" | "signal">,
): AsyncGenerator<Buffer> {
  yield* verified(transfer(connection, world), visitor, verdict);
}

/** Passes a file through, without what follows it. Throws as {@link rdbStream}. */
export async function* verified(
  source: AsyncIterable<Buffer>,
  visitor: RdbVisitor,
  verdict: (verdict: RdbVerdict) => void,
): AsyncGenerator<Buffer> {
  const reader = new RdbReader(visitor);
  const crc = new Crc64();
  let passed = 0;
  let last = 0;
  let tail: Buffer = Buffer.alloc(0);
  for await (const chunk of source) {
    reader.push(chunk);
    const held = Buffer.concat([tail, chunk]);
    const body = held.subarray(0, Math.max(0, held.length - tailBytes));
    tail = held.subarray(body.length);
    if (body.length === 0) continue;
    crc.update(body);
    passed += body.length;
    last = body.at(-1)!;
    yield body;
  }
  const { end } = reader;
  // Where the structure is known it says where the file ends; otherwise the checksum does.
  for (const after of [0, markBytes]) {
    const rest = tail.subarray(0, tail.length - after);
    if (rest.length < checksumBytes || !/^[0-9a-f]*$/.test(tail.subarray(rest.length).toString("latin1"))) continue;
    const understood = end !== undefined && "bytes" in end;
    if (understood && end.bytes !== passed + rest.length) continue;
    if (end === undefined) break;
    const before = rest.subarray(0, -checksumBytes);
    const stored = rest.subarray(-checksumBytes);
    // The checksum of a file with its own at the end is 0: without this mark, zeros after it would pass.
    if ((before.at(-1) ?? last) !== 0xff) continue;
    const checked = stored.some((byte) => byte !== 0);
    if (checked ? !crc.copy().update(before).digest().equals(stored) : !understood) continue;
    yield rest;
    verdict({ understood, checked });
    return;
  }
  throw new MailarkError("DUMP_TRUNCATED", "what the server sent is not a whole RDB file", {
    hint: "look for a full disk or a killed process in the server's log; where rdbchecksum is off, it must be on for this server",
    retryable: true,
  });
}

async function* transfer(
  connection: Connection,
  { processes, clock, signal }: Pick<World, "processes" | "clock" | "signal">,
): AsyncGenerator<Buffer> {
  const { client, stallSeconds, scrub } = connection;
  const running = await processes.start(connection.leashed(["--rdb", "-"]), { signal });
  running.stdin.write(connection.leading);
  const judge = (exit: Exit) => {
    if (exit.code === 0) return;
    const error = new MailarkError("DUMP_FAILED", `${client.name} failed with ${howEnded(exit)}`, {
      detail: running.complaint(),
      hint: "the server's log says more: a full disk, too little memory to fork, an account without +psync +sync",
      retryable: true,
    });
    throw explained(error, client.name, scrub);
  };
  yield* watchedOutput(running, { stallSeconds, stalled: () => stalled(stallSeconds), judge }, { clock, signal });
}
