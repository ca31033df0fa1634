/** "Understanding command statuses" of the Systems Manager User Guide, and `StatusDetails` of the API reference. */

export type InvocationStatus =
  | "Pending"
  | "InProgress"
  | "Cancelling"
  | "Success"
  | "Failed"
  | "ExecutionTimedOut"
  | "DeliveryTimedOut"
  | "Cancelled"
  | "Undeliverable"
  | "Terminated";

/** `StatusDetails` of a command. */
export type CommandStatus = InvocationStatus | "Incomplete" | "NoInstancesInTag";

export function isFinal(status: CommandStatus): boolean {
  return !["Pending", "InProgress", "Cancelling"].includes(status);
}

/** `Status`, which says less. */
export function coarse(status: CommandStatus): string {
  const said: Partial<Record<CommandStatus, string>> = {
    ExecutionTimedOut: "TimedOut",
    DeliveryTimedOut: "TimedOut",
    Undeliverable: "Failed",
    Incomplete: "Failed",
    Terminated: "Cancelled",
    NoInstancesInTag: "Success",
  };
  return said[status] ?? status;
}

/** What a command is, by what it is on its nodes. One failure is too many where no error is allowed. */
export function statusOfCommand(all: readonly InvocationStatus[], maxErrors: number): CommandStatus {
  if (all.length === 0) return "NoInstancesInTag";
  const count = (status: InvocationStatus) => all.filter((each) => each === status).length;
  if (count("Cancelling") > 0) return "Cancelling";
  if (count("Pending") === all.length) return "Pending";
  if (!all.every(isFinal)) return "InProgress";
  if (count("Success") === all.length) return "Success";
  const many = Math.max(1, maxErrors);
  const bad = (["Failed", "ExecutionTimedOut", "DeliveryTimedOut"] as const).find((each) => count(each) >= many);
  if (bad !== undefined) return bad;
  if (count("Undeliverable") === all.length) return "Failed";
  return count("Cancelled") > 0 ? "Cancelled" : "Incomplete";
}
