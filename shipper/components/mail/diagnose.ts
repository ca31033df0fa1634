import { fine, found, type Observation } from "../../doctor/observation.ts";
import { lookForTools } from "../../doctor/tools.ts";
import type { World } from "../component.ts";
import type { MailConfig } from "./config.ts";
import { imapPrograms } from "./private-dovecot.ts";

/** What proves a restore of mail. A capture needs no program. */
export async function diagnoseMail({ doveadm }: MailConfig, world: World): Promise<readonly Observation[]> {
  const program = imapPrograms.find((each) => world.files.statSync(each, { throwIfNoEntry: false }));
  const imap =
    program === undefined
      ? found(
          "RESTORE_TOOL_MISSING",
          "imap",
          `there is no ${imapPrograms[0]}: a restore or a drill does not read mailboxes by IMAP`,
          {
            advice: "install dovecot-imapd; it needs not run as a service",
          },
        )
      : fine("imap", program);
  const asked = doveadm.enabled === "auto" && doveadm.command.length > 0;
  const tools = { names: ["doveadm"], package: "dovecot-core", for: "restore" } as const;
  return [imap, ...(await lookForTools([tools], asked ? doveadm.command : [], world))];
}
