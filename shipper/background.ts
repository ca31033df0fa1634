/**
 * A backup of a host that serves mail takes what is left over. Priorities belong to threads and pass on to what they start (sched(7),
 * ioprio_set(2)): so all threads that there are step back, and with them every program that runs afterwards on this machine. What a word
 * before a program starts elsewhere, as `docker exec` does, has the priorities of that place.
 */
import { getPriority, setPriority } from "node:os";
import { z } from "zod";
import type { Files } from "../core/ports/files.ts";
import { outputOf, type Processes } from "./processes.ts";

export const backgroundSchema = z.strictObject({
  /** Added to the priority of processes as nice(1) does. 0: as it was started. */
  nice: z.int().min(0).max(19).default(10),
  /** `low` yields to others at the disk, `idle` reads only where nobody else does and may wait for ever, `normal` is as it was started. */
  disk: z.enum(["normal", "low", "idle"]).default("low"),
});

export type Background = z.infer<typeof backgroundSchema>;

/** Steps back, and never forward. What can not be done is told and no reason not to back up. */
export async function stepBack(
  { files, processes }: { readonly files: Files; readonly processes: Processes },
  { nice, disk }: Background,
  failed: (message: string) => void,
): Promise<void> {
  let threads: string[];
  try {
    threads = files.readdirSync("/proc/self/task");
  } catch (error) {
    failed(`the priority stays as it was: ${String(error)}`);
    return;
  }
  try {
    for (const thread of threads.map(Number)) if (getPriority(thread) < nice) setPriority(thread, nice);
  } catch (error) {
    failed(`the priority stays as it was: ${String(error)}`);
  }
  if (disk === "normal") return;
  try {
    const now = (await outputOf(processes, ["ionice", "-p", String(process.pid)])).toString();
    if (now.startsWith("idle")) return;
    const wanted = disk === "idle" ? ["-c", "3"] : ["-c", "2", "-n", "7"];
    await outputOf(processes, ["ionice", ...wanted, "-p", ...threads]);
  } catch (error) {
    failed(`the priority at the disk stays as it was: ${String(error)}`);
  }
}
