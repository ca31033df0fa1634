// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the text of the product is quoted as it is
import type { Guard } from "./guard.ts";

const capture = "test/shipper/components/queue/capture.test.ts";
const broken = "test/shipper/components/queue/broken-program.test.ts";
const hostile = "test/shipper/components/queue/hostile.test.ts";
const service = "test/shipper/components/queue/service.test.ts";

const at = (name: string) => `shipper/components/queue/${name}`;

/** The queue: no message escapes a capture or is in it twice, none that was brought back is delivered unasked, and nothing but queue files comes back. */
export const queueGuards: readonly Guard[] = [
  {
    guard: "a walk over the queue has its last line",
    file: at("listing.ts"),
    find: 'if (rest !== "" || !last.endsWith(` ${mark}`)) {',
    replace: "if (rest === undefined) {",
    test: { file: broken, name: "a walk that lacks its last lines gives no snapshot" },
  },
  {
    guard: "a directory without queues is no queue",
    file: at("listing.ts"),
    find: "if (stamps.has(queue)) continue;",
    replace: "if (queue) continue;",
    test: { file: broken, name: "a directory that is no queue gives no snapshot" },
  },
  {
    guard: "what is still being written is not captured",
    file: at("layout.ts"),
    find: " || (mode & complete) === complete;",
    replace: " || mode > 0;",
    test: { file: capture, name: "is captured with its logs, and without what somebody is writing" },
  },
  {
    guard: "a program that looks at the queue is judged by its exit status",
    file: at("programs.ts"),
    find: "if (!accepted(exit, running.complaint())) throw",
    replace: "if (exit === undefined) throw",
    test: { file: broken, name: "fails after all its output, gives no snapshot" },
  },
  {
    guard: "a program that hangs over the queue is ended",
    file: "shipper/watched-output.ts",
    find: "running.stdout.destroy(reason);",
    replace: "",
    test: { file: broken, name: "prints nothing for too long, is ended" },
    hangs: true,
  },
  {
    guard: "a message that was missed is looked for until it is caught",
    file: at("capture.ts"),
    find: "missed.set(id, 0);\n    old = true;",
    replace: "",
    test: { file: broken, name: "an archive that lacks what the walk has met gives no snapshot" },
  },
  {
    guard: "a walk that finds something old shows that walks miss something",
    file: at("capture.ts"),
    find: "quiet = old ? 0 : quiet + 1;",
    replace: "quiet = quietWalks;",
    test: { file: capture, name: "several walks do not meet is in the snapshot, where the queue never keeps still" },
  },
  {
    guard: "a message is in the archive once",
    file: at("spool-writer.ts"),
    find: "if (!log && !aside && this.has(place.id)) continue;",
    replace: "",
    test: { file: capture, name: "stands in two queues at once is in the snapshot once" },
  },
  {
    guard: "a message that became longer is not captured as whole",
    file: at("spool-writer.ts"),
    find: "written.inode !== inode || written.size === size",
    replace: "written.inode !== inode || written.size >= 0",
    test: { file: capture, name: "is longer than it was when it was read ends the capture" },
  },
  {
    guard: "what comes to maildrop meanwhile may get another id",
    file: at("capture.ts"),
    find: 'queue === "maildrop" && waiting.has(id) && !writer.has(id)',
    replace: 'queue === "maildrop" && !writer.has(id)',
    test: {
      file: capture,
      name: "comes to maildrop meanwhile is left to the next run: it may get another id at any time",
    },
  },
  {
    guard: "what a restore brought back of maildrop is captured again",
    file: at("capture.ts"),
    find: "yield* writeHeld(writer, last);",
    replace: "",
    test: {
      file: capture,
      name: "has what a restore brought back of maildrop in the snapshot, and says what it moved aside",
    },
  },
  {
    guard: "what is taken from maildrop is looked for in the queue",
    file: at("capture.ts"),
    find: "if (gone === files.length) return false;",
    replace: "if (gone === files.length) return true;",
    test: { file: capture, name: "is taken from maildrop when it was just to be read is looked for in the queue" },
  },
  {
    guard: "only what a queue holds is unpacked",
    file: at("gate.ts"),
    find: 'if (member.kind !== "file" || place === undefined) throw',
    replace: "if (place === undefined) throw",
    test: { file: hostile, name: "%s is refused whole" },
  },
  {
    guard: "only complete files with Postfix's modes are unpacked",
    file: at("gate.ts"),
    find: "if (!isComplete(place.queue, member.mode)) throw",
    replace: "if (member.mode < 0) throw",
    test: { file: hostile, name: "%s is refused whole" },
  },
  {
    guard: "an attribute does not come back with a queue file",
    file: at("gate.ts"),
    find: "member.extents !== undefined || member.attributes.size > 0 || Object.keys(member.acl).length > 0",
    replace: "member.extents !== undefined",
    test: { file: hostile, name: "%s is refused whole" },
  },
  {
    guard: "one id does not come back twice",
    file: at("gate.ts"),
    find: "if (places.has(heldAt)) throw",
    replace: "if (places.size < 0) throw",
    test: { file: hostile, name: "one id in two queues is refused" },
  },
  {
    guard: "a queue file holds what its index says",
    file: at("gate.ts"),
    find: 'if (sha256.digest("hex") !== file!.sha256)',
    replace: 'if (sha256.digest("hex") === "")',
    test: { file: hostile, name: "another content than the index says is refused" },
  },
  {
    guard: "everything that the index names is there",
    file: at("gate.ts"),
    find: "for (const path of known.keys()) throw",
    replace: "for (const path of [] as string[]) throw",
    test: { file: hostile, name: "less than the index says is refused" },
  },
  {
    guard: "what Postfix would deliver comes back on hold",
    file: at("gate.ts"),
    find: "? `hold/${id}` : `${queue}/${id}`;",
    replace: "? `${queue}/${id}` : `${queue}/${id}`;",
    test: {
      file: hostile,
      name: "what the gate lets through belongs to Postfix, is on hold, and bears the names of nobody else",
    },
  },
  {
    guard: "what was submitted does not come back where Postfix takes it up",
    file: at("gate.ts"),
    find: 'if (queue === "maildrop") return `${heldMaildrop}/${id}`;',
    replace: "",
    test: {
      file: hostile,
      name: "what the gate lets through belongs to Postfix, is on hold, and bears the names of nobody else",
    },
  },
  {
    guard: "the queue of a Postfix that runs is left alone",
    file: at("service.ts"),
    find: "if (exit.code === 0) return;",
    replace: "if (exit) return;",
    test: { file: service, name: "that runs, or holds messages, is left as it is" },
  },
  {
    guard: "a queue that holds messages is left alone",
    file: at("service.ts"),
    find: "if (found.length === 0) return;",
    replace: "if (found.length >= 0) return;",
    test: { file: service, name: "that runs, or holds messages, is left as it is" },
  },
  {
    guard: "a Postfix that was started meanwhile is left alone",
    file: at("service.ts"),
    find: "await settle(staged, config, world);\n    await refuseWhileRunning(spool, config, world);",
    replace: "await settle(staged, config, world);",
    test: { file: service, name: "that is started meanwhile is left alone, and nothing is delivered" },
  },
  {
    guard: "only what a killed restore left is taken back from the queue",
    file: at("filling.ts"),
    find: "if (foreign !== undefined) {",
    replace: "if (foreign === null) {",
    test: {
      file: service,
      name: "that an earlier restore filled is emptied again, unless there is anything else in it",
    },
  },
  {
    guard: "a check sees what is not on hold",
    file: at("check.ts"),
    find: 'shown.filter(({ queue }) => queue !== "hold")',
    replace: 'shown.filter(({ queue }) => queue === "")',
    test: { file: broken, name: "shows a message that Postfix can not read" },
  },
  {
    guard: "a check compares envelopes with those of the capture",
    file: at("check.ts"),
    find: "if (wrong.length > 0) {",
    replace: "if (wrong.length < 0) {",
    test: { file: broken, name: "shows a message that Postfix can not read" },
  },
  {
    guard: "a check counts what postcat reads to its end",
    file: at("check.ts"),
    find: "if (readable === ids.length) return",
    replace: "if (readable >= 0) return",
    test: { file: broken, name: "shows a message that Postfix can not read" },
  },
];
