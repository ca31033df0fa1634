import type { Config } from "./config.ts";

/**
 * An example, which is taken where there is no `mailark.config.ts` at the top of the repository.
 */
export default {
  name: "mailark",
  account: "111122223333",
  region: "eu-central-1",
  alarmEmails: ["postmaster@example.com"],
  timeZone: "Europe/Berlin",
} satisfies Config;
