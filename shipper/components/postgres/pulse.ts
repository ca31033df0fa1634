import { MailarkError } from "../../../core/errors.ts";
import { outputOf, type Processes } from "../../processes.ts";
import type { Pulse } from "../pulse.ts";
import type { Connection } from "./connection.ts";

/** A refusal is an answer too: too many connections, for example. */
export const pulseOf = (connection: Connection, processes: Processes): Pulse => ({
  stallSeconds: connection.stallSeconds,
  async answers(signal) {
    const command = connection.command("psql", ["-X", "-q", "-w", connection.to(connection.maintenanceDatabase)]);
    try {
      await outputOf(connection.through(processes), command, { input: "SELECT 1;\n", signal });
      return true;
    } catch (error) {
      return error instanceof MailarkError && /FATAL: /.test(error.detail ?? "");
    }
  },
});
