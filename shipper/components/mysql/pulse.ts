import { MailarkError } from "../../../core/errors.ts";
import { outputOf, type Processes } from "../../processes.ts";
import type { Pulse } from "../pulse.ts";
import type { Connection } from "./connection.ts";

/** An error of the server is an answer too: too many connections, for example. Those from 2000 on are of the client, which found none. */
export const pulseOf = (connection: Connection, processes: Processes): Pulse => ({
  stallSeconds: connection.stallSeconds,
  async answers(signal) {
    const command = connection.command(connection.client.name, ["--batch", "--connect-timeout=20"]);
    try {
      await outputOf(connection.through(processes), command, { input: "SELECT 1;\n", env: connection.env, signal });
      return true;
    } catch (error) {
      return error instanceof MailarkError && /ERROR 1\d{3}\b/.test(error.detail ?? "");
    }
  },
});
