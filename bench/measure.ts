/** How things are measured side by side: in turns, by their medians, with what the rest of the machine did meanwhile. */
import { readFileSync } from "node:fs";

/** What one measured act cost. All in seconds. */
export interface Cost {
  readonly wall: number;
  /** CPU time of this process and of the programs that it ran, to their end. */
  readonly cpu: number;
  /** CPU time of the servers that were named: they run on. */
  readonly servers: number;
  /** CPU time of everything else on the machine, which was in the way. */
  readonly others: number;
}

/** @param servers process ids whose CPU time counts as well. */
export async function costOf(act: () => Promise<unknown> | undefined, servers: readonly number[] = []): Promise<Cost> {
  const clock = () => ({
    wall: performance.now() / 1000,
    cpu: cpuSeconds("self", { children: true }),
    servers: servers.reduce((sum, pid) => sum + cpuSeconds(pid), 0),
    machine: machineSeconds(),
  });
  const before = clock();
  await act();
  const after = clock();
  const cpu = after.cpu - before.cpu;
  const ofServers = after.servers - before.servers;
  return {
    wall: after.wall - before.wall,
    cpu,
    servers: ofServers,
    others: Math.max(0, after.machine - before.machine - cpu - ofServers),
  };
}

/**
 * Every tool once a round, beginning with another one each time: a machine that is throttled or shared would otherwise favour one
 * of them. Returns what each measured, in the order of the tools.
 */
export async function inTurns<T, M>(
  tools: readonly T[],
  rounds: number,
  measure: (tool: T, round: number) => Promise<M> | M,
): Promise<M[][]> {
  const measured = tools.map((): M[] => []);
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < tools.length; turn++) {
      const index = (turn + round) % tools.length;
      measured[index]!.push(await measure(tools[index]!, round));
    }
  }
  return measured;
}

/** The middle value, or the mean of the two in the middle; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Linux counts in hundredths of a second for programs, on every machine that Node runs on (proc(5), sysconf(3) _SC_CLK_TCK). */
const ticks = 100;

/** With `children`, also those that have ended and were waited for, and theirs. */
function cpuSeconds(pid: number | "self", { children = false } = {}): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name is in parentheses and may hold anything; utime, stime, cutime and cstime are fields 14 to 17.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const counted = fields.slice(11, children ? 15 : 13).map(Number);
  return counted.reduce((sum, each) => sum + each, 0) / ticks;
}

/** CPU time of all processors, but for idling and waiting for disks; with what a hypervisor gave to others. */
function machineSeconds(): number {
  const [user = 0, nice = 0, system = 0, , , interrupts = 0, softInterrupts = 0, stolen = 0] = readFileSync(
    "/proc/stat",
    "utf8",
  )
    .split("\n", 1)[0]!
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return (user + nice + system + interrupts + softInterrupts + stolen) / ticks;
}
