/** Looks at a queue that was brought back as Postfix does, and compares it with what was captured. */
import { MailarkError } from "../../../core/errors.ts";
import { outputOf } from "../../processes.ts";
import type { Check, World } from "../component.ts";
import { queuedMessages } from "./domains.ts";
import type { CapturedMessage } from "./index-rows.ts";
import { heldMaildrop, movingQueues } from "./layout.ts";
import { commandOf } from "./programs.ts";
import type { StagedQueue } from "./stage.ts";

/** So many ids a call of `postcat`. */
const batch = 500;

/** Content, then what Postfix says of it: on hold, each once, with sender, recipients and size as captured, readable to its end. */
export async function checkQueue(staged: StagedQueue, world: World): Promise<Check[]> {
  const checks = [await checkContents(staged, world)];
  const { instance, reason = "" } = staged;
  if (instance === undefined) return [...checks, { name: "messages", outcome: "unproven", detail: reason }];
  return [...checks, ...(await checkMessages({ ...staged, instance }, world))];
}

async function checkContents({ index, directory, command }: StagedQueue, { processes, signal }: World): Promise<Check> {
  const found = countOf([...(await hashesBelow(directory, command, { processes, signal })).values()]);
  const files = [...index.messages, ...index.logs];
  const missing = files.filter(({ sha256 }) => !take(found, sha256));
  const name = "contents";
  if (missing.length === 0) return { name, outcome: "passed", detail: `${files.length} files hold what was captured` };
  return {
    name,
    outcome: "failed",
    detail: `not as captured: ${missing
      .map(({ path }) => path)
      .slice(0, 20)
      .join(", ")}`,
  };
}

/** SHA-256 of every file in the queues below a queue directory, by path below it. */
export async function hashesBelow(
  directory: string,
  command: readonly string[],
  { processes, signal }: Pick<World, "processes" | "signal">,
): Promise<Map<string, string>> {
  const words = ["find", "-H", directory, "-mindepth", "2", "-type", "f", "-exec", "sha256sum", "-b", "-z", "{}", "+"];
  const text = (await outputOf(processes, commandOf({ command: [...command] }, words), { signal })).toString("latin1");
  const rows = text.split("\0").filter((row) => row !== "");
  return new Map(rows.map((row) => [row.slice(66 + directory.length + 1), row.slice(0, 64)]));
}

async function checkMessages(staged: StagedQueue & { instance: readonly string[] }, world: World): Promise<Check[]> {
  const { index, command, instance } = staged;
  const config = { command: [...command], stallSeconds: 3600 };
  const shown = await queuedMessages(config, instance, world);
  const ids = new Set(shown.map(({ id }) => id));
  const moving = index.messages.filter(({ path }) => (movingQueues as readonly string[]).includes(path.split("/")[0]!));
  const loose = shown.filter(({ queue }) => queue !== "hold");
  const checks: Check[] = [];
  const release =
    staged.place.kind === "service"
      ? "; see them with `postqueue -p`, drop what was delivered meanwhile with `postsuper -d ID`, release with `postsuper -H ID` or `postsuper -H ALL`"
      : "";
  checks.push(
    loose.length === 0
      ? { name: "hold", outcome: "passed", detail: `all ${shown.length} messages are on hold${release}` }
      : { name: "hold", outcome: "failed", detail: `not on hold: ${loose.map(({ id }) => id).join(", ")}` },
  );
  // Postfix shows only some of what was damaged when it was captured.
  const whole = moving.filter(({ envelope }) => envelope !== undefined);
  const isCount = whole.length <= shown.length && shown.length <= moving.length;
  checks.push(
    ids.size === shown.length && isCount
      ? { name: "ids", outcome: "passed", detail: `${shown.length} messages, each with an id of its own` }
      : { name: "ids", outcome: "failed", detail: `${ids.size} ids, ${moving.length} messages when captured` },
  );
  checks.push(compareEnvelopes(moving, shown.map(keyOfShown)));
  const captured = countOf(whole.map(keyOfCaptured));
  const known = whole.length === moving.length ? shown : shown.filter((one) => take(captured, keyOfShown(one)));
  checks.push(await checkReadable([...new Set(known.map(({ id }) => id))], instance, config, world));
  const submitted = index.messages.filter(({ path }) => /^maildrop(\.held)?\//.test(path)).length;
  if (submitted > 0) {
    const detail = `${submitted} were submitted and not taken yet: they are in ${heldMaildrop}, where Postfix does not look`;
    checks.push({ name: "maildrop", outcome: "passed", detail });
  }
  return checks;
}

const keyOfShown = ({ sender, recipients, size }: { sender: string; recipients: readonly string[]; size: number }) =>
  JSON.stringify([sender, recipients.toSorted(), size]);

const keyOfCaptured = ({ envelope }: CapturedMessage) =>
  envelope === undefined ? "" : keyOfShown({ ...envelope, size: envelope.contentBytes });

function compareEnvelopes(captured: readonly CapturedMessage[], shown: readonly string[]): Check {
  const name = "envelopes";
  const found = countOf(shown);
  const unknown = captured.filter(({ envelope }) => envelope === undefined).length;
  const wrong = captured.filter((message) => message.envelope !== undefined && !take(found, keyOfCaptured(message)));
  if (wrong.length > 0) {
    const detail = `sender, recipients or size are not as captured: ${wrong
      .map(({ path }) => path)
      .slice(0, 20)
      .join(", ")}`;
    return { name, outcome: "failed", detail };
  }
  if (unknown > 0) {
    const detail = `${unknown} messages were damaged, or too large to be looked into, when they were captured: they are there as they were`;
    return { name, outcome: "unproven", detail };
  }
  return {
    name,
    outcome: "passed",
    detail: `sender, recipients and size of ${captured.length} messages are as captured`,
  };
}

/** `postcat` follows a message's records to its end; it prints a line for that. */
async function checkReadable(
  ids: readonly string[],
  where: readonly string[],
  config: { readonly command: string[] },
  { processes, signal }: World,
): Promise<Check> {
  const name = "readable";
  let readable = 0;
  try {
    for (let at = 0; at < ids.length; at += batch) {
      const words = ["postcat", ...where, "-e", "-q", ...ids.slice(at, at + batch)];
      const text = (await outputOf(processes, commandOf(config, words), { signal })).toString("latin1");
      readable += text.match(/^\*\*\* MESSAGE FILE END /gm)?.length ?? 0;
    }
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof MailarkError)) throw error;
    return { name, outcome: "failed", detail: error.detail ?? error.message };
  }
  if (readable === ids.length) return { name, outcome: "passed", detail: `postcat reads all ${readable} to their end` };
  return { name, outcome: "failed", detail: `postcat reads ${readable} of ${ids.length} to their end` };
}

function countOf(keys: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}

function take(counts: Map<string, number>, key: string): boolean {
  const count = counts.get(key) ?? 0;
  if (count > 0) counts.set(key, count - 1);
  return count > 0;
}
