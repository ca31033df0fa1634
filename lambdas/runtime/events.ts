import { EventBridgeClient, PutEventsCommand } from "@aws-sdk/client-eventbridge";
import { MailarkError } from "../../core/errors.ts";

/** What the controller's events are told apart by. Rules in infra name the same. */
export const eventSource = "mailark";

/** Puts events on the account's default bus, ten at a time. */
export function eventSender(client = new EventBridgeClient({})) {
  return async (detailType: string, details: readonly object[]): Promise<void> => {
    for (let at = 0; at < details.length; at += 10) {
      const entries = details.slice(at, at + 10).map((detail) => ({
        Source: eventSource,
        DetailType: detailType,
        Detail: JSON.stringify(detail),
      }));
      const { FailedEntryCount = 0 } = await client.send(new PutEventsCommand({ Entries: entries }));
      if (FailedEntryCount === 0) continue;
      throw new MailarkError("STORE_BUSY", `${FailedEntryCount} events were not taken`, { retryable: true });
    }
  };
}
