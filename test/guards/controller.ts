// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the text of the product is quoted as it is
import type { Guard } from "./guard.ts";

const verify = "test/lambdas/verify/verify-snapshot.test.ts";
const event = "test/lambdas/verify/event.test.ts";
const noteRun = "test/lambdas/verify/note-run.test.ts";
const api = "test/lambdas/api/routes.test.ts";
const apiStack = "test/infra/api.test.ts";
const control = "test/infra/control.test.ts";
const dispatch = "test/lambdas/dispatch/dispatch-backup.test.ts";

const verdicts: readonly Guard[] = [
  {
    guard: "a host that nobody approved is judged when somebody has",
    file: "lambdas/verify/verify-snapshot.ts",
    find: 'if (outcome === "unenrolled") return verdict;',
    replace: "",
    test: { file: verify, name: "is unenrolled until the operator has approved the host, and is judged then" },
  },
  {
    guard: "only signing keys count that the operator approved",
    file: "lambdas/verify/verify-snapshot.ts",
    find: "readTrust(vault, address.hostId, fingerprints)",
    replace: "readTrust(vault, address.hostId, undefined)",
    test: { file: verify, name: "is forged when another key signed it, also one that the host enrolled by itself" },
  },
  {
    guard: "the latest snapshot is the one that the store received last",
    file: "lambdas/verify/latest.ts",
    find: ": order(b.receivedAt, a.receivedAt)",
    replace: ": order(b.snapshotId, a.snapshotId)",
    test: { file: verify, name: "is good and not the latest when it came earlier, whatever the host calls it" },
  },
  {
    guard: "nothing builds on a partial snapshot",
    file: "lambdas/verify/verify-snapshot.ts",
    find: 'outcome === "intact" && manifest?.completeness === "complete" ? manifest',
    replace: 'outcome === "intact" ? manifest',
    test: { file: verify, name: "is no base when it is only partial" },
  },
  {
    guard: "nothing builds any more on a snapshot that turned out bad",
    file: "lambdas/verify/verify-snapshot.ts",
    find: "else await noteLost(control, address, signal);",
    replace: "",
    test: {
      file: verify,
      name: "that reads every byte finds what the store's checksum does not say, and takes the snapshot from the good ones",
    },
  },
  {
    guard: "a deep look reads the bytes",
    file: "lambdas/verify/verify-snapshot.ts",
    find: "...(!deep && {",
    replace: "...(true && {",
    test: {
      file: verify,
      name: "that reads every byte finds what the store's checksum does not say, and takes the snapshot from the good ones",
    },
  },
  {
    guard: "an event that comes twice is announced once",
    file: "lambdas/verify/verify-snapshot.ts",
    find: "if (before && !again && !deep) return before.record;",
    replace: "",
    test: { file: verify, name: "that comes twice has no second effect" },
  },
  {
    guard: "two judgements at once lose nothing of each other",
    file: "lambdas/verify/latest.ts",
    find: "if (await control.replace(key, recordBytes(record), before?.held, signal)) return;",
    replace: "await control.replace(key, recordBytes(record), before?.held, signal);\n    return;",
    test: { file: verify, name: "that another overtakes loses nothing of what either found" },
  },
  {
    guard: "somebody is told when half of what was counted is gone",
    file: "lambdas/verify/anomalies.ts",
    find: "before >= noticeable && now < before / 2",
    replace: "before < 0 && now < 0",
    test: { file: verify, name: "is odd when half of what it counts is gone since the one before" },
  },
  {
    guard: "somebody is told when the store has half of what it had of a full snapshot",
    file: "lambdas/verify/anomalies.ts",
    find: "areFull && hasDropped(",
    replace: "areFull && !hasDropped(",
    test: {
      file: "test/lambdas/verify/anomalies.test.ts",
      name: "a full snapshot of which the store has less than half of the one before is odd, whatever its parts say",
    },
  },
  {
    guard: "only signing keys count for a run that the operator approved",
    file: "lambdas/verify/note-run.ts",
    find: "readTrust(vault, hostId, fingerprints, signal)",
    replace: "readTrust(vault, hostId, undefined, signal)",
    test: { file: noteRun, name: "a run %s is not written down" },
  },
  {
    guard: "a host tells of its own runs alone, each in its place",
    file: "lambdas/verify/note-run.ts",
    find: "return run.hostId === hostId && run.runId === runId ? run : undefined;",
    replace: "return run;",
    test: { file: noteRun, name: "a run %s is not written down" },
  },
  {
    guard: "what is told late of a run replaces nothing newer",
    file: "lambdas/verify/note-run.ts",
    find: "if (before && before.record.receivedAt > noted.receivedAt) return before.record;",
    replace: "",
    test: { file: noteRun, name: "the run that the store received last counts, in whatever order they are told of" },
  },
  {
    guard: "a host has no say in requests that it was not asked for",
    file: "lambdas/api/request-backup.ts",
    find: "!isAsked || key",
    replace: "key",
    test: { file: api, name: "tells what hosts said of it, on whose machines it was started" },
  },
  {
    guard: "only the data bucket's manifests are judged",
    file: "lambdas/verify/event.ts",
    find: "if (detail.bucket.name !== bucket) return undefined;",
    replace: "",
    test: { file: event, name: "is not %s" },
  },
  {
    guard: "somebody is told of what is whole and odd",
    file: "lambdas/verify/event.ts",
    find: 'alert: outcome !== "intact" || anomalies.length > 0,',
    replace: 'alert: outcome !== "intact",',
    test: { file: event, name: "a verdict raises an alert when it is not intact, or odd, and only then" },
  },
  {
    guard: "a request to judge names a host",
    file: "lambdas/verify/event.ts",
    find: "hostId: z.string().regex(patterns.hostId),",
    replace: "hostId: z.string(),",
    test: { file: event, name: "is not %s" },
  },
  {
    guard: "a sweep passes over what was judged",
    file: "lambdas/verify/sweep.ts",
    find: "if (address && !judged.has(verdictKey(address)))",
    replace: "if (address)",
    test: { file: verify, name: "asks for what has no verdict, and deep for the newest good snapshot" },
  },
];

const starts: readonly Guard[] = [
  {
    guard: "a request that comes again starts nothing",
    file: "lambdas/dispatch/claim.ts",
    find: "if (found && other === undefined) return { record: found.record };",
    replace: "",
    test: { file: dispatch, name: "starts nothing, and gets the answer of the first time" },
  },
  {
    guard: "one of several attempts at once starts a request",
    file: "lambdas/dispatch/claim.ts",
    find: "const isFree = other === undefined || Date.parse(other.until) <= clock.now();",
    replace: "const isFree = true;",
    test: { file: dispatch, name: "at the same time starts nothing either, and waits for that answer" },
  },
  {
    guard: "who was overtaken writes nothing over what was started",
    file: "lambdas/dispatch/claim.ts",
    find: 'throw new MailarkError("STORE_BUSY", "another attempt has taken over this request", { retryable: true });',
    replace: "",
    test: { file: dispatch, name: "that was taken over settles nothing" },
  },
  {
    guard: "what was started before a failure is not started again",
    file: "lambdas/dispatch/dispatch-backup.ts",
    find: ".filter(({ id }) => !before.has(id))",
    replace: "",
    test: {
      file: dispatch,
      name: "after a failure in the middle starts what was not started, of what was asked for first",
    },
  },
  {
    guard: "a schedule that is tried again is the same request",
    file: "infra/control/schedules.ts",
    find: "<aws.scheduler.scheduled-time>",
    replace: "<aws.scheduler.execution-id>",
    test: { file: control, name: "is one request at all attempts at one time, and another at another" },
  },
  {
    guard: "no second backup is started where one runs",
    file: "lambdas/dispatch/dispatch-backup.ts",
    find: "machines.filter(({ id }) => !running.has(id))",
    replace: "machines.filter(({ id }) => id)",
    test: { file: dispatch, name: "passes over a machine where one runs already, and says so" },
  },
  {
    guard: "a backup is asked for once over the API",
    file: "lambdas/api/request-backup.ts",
    find: "if (isStarted(before)) return before;",
    replace: "",
    test: { file: api, name: "is started once, however often it is asked for" },
  },
  {
    guard: "a request over the API is in the name of who signed it",
    file: "lambdas/api/routes.ts",
    find: "dispatchRequest.omit({ requestedBy: true })",
    replace: "dispatchRequest.partial({ requestedBy: true })",
    test: { file: api, name: "is refused with one sentence for %s" },
  },
  {
    guard: "what can not be read is not left out of the list",
    file: "lambdas/api/routes.ts",
    find: "refusal(400, error.message);\n    throw error;",
    replace: "refusal(400, error.message);\n    return refusal(400, String(error));",
    test: { file: api, name: "is not made up where a record can not be read" },
  },
  {
    guard: "a function announces nothing but its own events",
    file: "infra/control/bus-access.ts",
    find: ', "events:detail-type": [...detailTypes]',
    replace: "",
    test: {
      file: apiStack,
      name: "has behind it what can ask for a backup and read what was written down, and nothing else",
    },
  },
  {
    guard: "a command names no more machines than SSM takes",
    file: "lambdas/dispatch/dispatch-backup.ts",
    find: "group.slice(at, at + machinesPerCommand)",
    replace: "group.slice(at)",
    test: { file: dispatch, name: "names at most 50 machines in a command" },
  },
  {
    guard: "a host is told of what it captures, and of nothing else",
    file: "lambdas/dispatch/dispatch-backup.ts",
    find: " || !components.includes(component)",
    replace: "",
    test: { file: dispatch, name: "tells each host what is known to be intact of the components that it captures" },
  },
  {
    guard: "a machine with two ids builds on what was received last",
    file: "lambdas/dispatch/dispatch-backup.ts",
    find: "good.receivedAt > other.receivedAt",
    replace: "good.snapshotId > other.snapshotId",
    test: { file: dispatch, name: "takes the newest receipt of a machine that has stored under two ids" },
  },
  {
    guard: "a page of the list says that there are more",
    file: "lambdas/api/list-backups.ts",
    find: "return { backups, next: `${last.hostId}/${last.component}` };",
    replace: "return { backups };",
    test: { file: api, name: "comes in pages that leave nothing out" },
  },
  {
    guard: "a query that is not understood is refused",
    file: "lambdas/api/routes.ts",
    find: "const backupsQuery = z.strictObject({",
    replace: "const backupsQuery = z.object({",
    test: { file: api, name: "is refused for %j" },
  },
  {
    guard: "a tier over the API is a word",
    file: "lambdas/dispatch/request.ts",
    find: 'z.string().regex(/^[a-z]{1,32}$/, "give 1 to 32 of a-z")',
    replace: "z.string()",
    test: { file: api, name: "is refused with one sentence for %s" },
  },
];

/** The controller: what it believes, and what it starts. */
export const controllerGuards: readonly Guard[] = [...verdicts, ...starts];
