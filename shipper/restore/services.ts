/** Stops and starts a machine's services around a restore of everything. */
import { z } from "zod";
import type { World } from "../components/component.ts";
import { outputOf } from "../processes.ts";

const unit = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9@:._-]*$/, "must be a name of a service");

export const servicesConfig = z.strictObject({
  /** Called with `stop`, `start` or `restart`, and names of services: `systemctl`, or `docker compose -f FILE`. */
  control: z.array(z.string().min(1)).min(1).default(["systemctl"]),
  /** Restarted once their configuration is back, so that they can be filled. */
  databases: z.array(unit).default([]),
  /** Stopped before anything is brought back, and started when all of it is, in this order. */
  mail: z.array(unit).default([]),
});

export type ServicesConfig = z.infer<typeof servicesConfig>;

export type Verb = "stop" | "start" | "restart";

/**
 * Has services stopped, started or restarted; all of them in one call, in their order.
 *
 * @throws MailarkError `PROGRAM_FAILED` or `PROGRAM_MISSING` with what the program said.
 */
export async function control(
  { control }: ServicesConfig,
  verb: Verb,
  units: readonly string[],
  { processes, signal }: Pick<World, "processes" | "signal">,
): Promise<void> {
  if (units.length === 0) return;
  await outputOf(processes, [...control, verb, ...units] as unknown as [string, ...string[]], { signal });
}
