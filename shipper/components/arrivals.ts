import { MailarkError } from "../../core/errors.ts";

const shown = 20;

/**
 * Makes sure that nothing came after a restore that was ended: what a service holds beyond the snapshot is nowhere else, and would be lost
 * if the rest of that restore were taken back.
 *
 * @param what came, for the message: `rows have come`.
 * @param arrived what and where.
 * @throws MailarkError `TARGET_NOT_EMPTY` naming it.
 */
export function refuseArrivals(what: string, arrived: readonly string[]): void {
  if (arrived.length === 0) return;
  const more = arrived.length > shown ? `; and ${arrived.length - shown} more` : "";
  throw new MailarkError("TARGET_NOT_EMPTY", `${what} since the restore that was ended`, {
    detail: `${arrived.slice(0, shown).join("; ")}${more}`,
    hint: "stop what writes to the service, save what came elsewhere and remove it here, then run the same command again",
  });
}
