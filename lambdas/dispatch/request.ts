import { z } from "zod";
import { componentNames, patterns } from "../../core/keys.ts";

/** What starts a backup: the event of a schedule, of the API, and of whoever invokes the function by hand. */
export const dispatchRequest = z.strictObject({
  requestId: z.string().regex(patterns.requestId, "give 1 to 100 of A-Z a-z 0-9 . _ : -"),
  requestedBy: z.string().min(1).max(200),
  tier: z.string().regex(/^[a-z]{1,32}$/, "give 1 to 32 of a-z"),
  components: z.array(z.enum(componentNames)).min(1),
});
