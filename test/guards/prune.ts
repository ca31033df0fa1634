// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the text of the product is quoted as it is
import type { Guard } from "./guard.ts";

const plan = "test/core/prune.test.ts";
const command = "test/shipper/commands/prune.test.ts";
const audit = "test/shipper/audit.test.ts";

/** Pruning: only what no rule keeps goes, in an order that leaves whole snapshots, and only where it is known what is there. */
export const pruneGuards: readonly Guard[] = [
  {
    guard: "manifests are erased before what they need",
    file: "core/prune.ts",
    find: "for (const erasure of erasures) {",
    replace: "for (const erasure of erasures.toReversed()) {",
    test: { file: command, name: "an interruption leaves whole snapshots, and the same command goes on" },
  },
  {
    guard: "records that name what is erased go with it",
    file: "core/prune.ts",
    find: ": snapshots.some((snapshot) => gone.has(nameOf(snapshot)));",
    replace: ": false;",
    test: {
      file: plan,
      name: "what no rule asks for goes with its packs and the record of its run, and the store is in order",
    },
  },
  {
    guard: "a record that can not be read goes with what its run stored",
    file: "core/prune.ts",
    find: "...snapshots.filter((snapshot) => gone.has(nameOf(snapshot))).map(({ runId }) => runKey(hostId, runId)),",
    replace: "",
    test: { file: plan, name: "the record of a run goes with what it stored, also where it can not be read" },
  },
  {
    guard: "a disk that fails is not taken for a key that may not be read",
    file: "shipper/commands/source.ts",
    find: 'if (code === "EACCES" || code === "EPERM") return',
    replace: "if (code !== undefined) return",
    test: {
      file: command,
      name: "nothing is erased while its own key can not be read, and %s is told",
    },
  },
  {
    guard: "why nothing proves who wrote the store is told",
    file: "shipper/commands/prune.ts",
    find: "...(keyFailure && {",
    replace: "...(keyFailure && !keyFailure && {",
    test: {
      file: command,
      name: "nothing is erased while its own key can not be read, and %s is told",
    },
  },
  {
    guard: "a backup under way is not taken for left over by a clock that is ahead",
    file: "core/prune.ts",
    find: "{ now, newest },",
    replace: "{ now },",
    test: { file: plan, name: "a minute ago stays, also where this machine's clock is a year ahead" },
  },
  {
    guard: "what a snapshot needs that was brought since the plan stays",
    file: "core/prune.ts",
    find: "if (grown) continue;",
    replace: "",
    test: { file: plan, name: "after the plan was made, which keeps %i" },
  },
  {
    guard: "what a snapshot needs that is brought while packs go stays",
    file: "core/prune.ts",
    find: "if (own !== undefined && !manifests.has(own) && (await reader.head(own, { signal }))) continue;",
    replace: "",
    test: { file: plan, name: "while other packs go already" },
  },
  {
    guard: "a snapshot that is held and given up is not erased",
    file: "core/prune.ts",
    find: "if (both !== undefined) {",
    replace: "if (both === null) {",
    test: { file: plan, name: "also where it is given up and held in one breath" },
  },
  {
    guard: "the newest restore script stays",
    file: "core/prune.ts",
    find: "if (scripts[0]) named.add(versionOf(scripts[0].key));",
    replace: "",
    test: {
      file: plan,
      name: "probes and old restore scripts that no snapshot names go after 14 days; keys, introductions and strange objects never",
    },
  },
  {
    guard: "what was copied later does not pass for the newest",
    file: "core/prune.ts",
    find: "...(late.has(snapshot) && { newest: true }),",
    replace: "",
    test: { file: plan, name: "the newest stays where older ones were copied to the store after it" },
  },
  {
    guard: "a hold holds",
    file: "core/prune.ts",
    find: '...(held.includes(snapshot.snapshotId) && { holds: ["--hold"] }),',
    replace: "",
    test: {
      file: plan,
      name: "a snapshot on hold stays, with all that it needs; one that is not there is not held in silence",
    },
  },
  {
    guard: "a snapshot that lacks a pack stops pruning",
    file: "core/inventory.ts",
    find: "if (head === undefined) throw",
    replace: "if (head === undefined) return;\n    if (head === null) throw",
    test: { file: plan, name: "a pack that is gone" },
  },
  {
    guard: "a snapshot with a pack of another size stops pruning",
    file: "core/inventory.ts",
    find: "if (head.bytes !== bytes) {",
    replace: "if (head.bytes < 0) {",
    test: { file: plan, name: "a pack of another size" },
  },
  {
    guard: "a snapshot that arrives meanwhile is not taken for damaged",
    file: "core/inventory.ts",
    find: "listed.get(key) ?? (await reader.head(key, { signal }))",
    replace: "listed.get(key)",
    test: { file: plan, name: "packs of a snapshot that arrives while the store is read are not taken for left over" },
  },
  {
    guard: "nothing is erased unasked",
    file: "shipper/commands/prune.ts",
    find: "options.delete ? await erase(plan) : undefined",
    replace: "await erase(plan)",
    test: { file: command, name: "says what would go and why, and touches nothing" },
  },
  {
    guard: "a clock that is ahead ages nothing out",
    file: "shipper/commands/prune.ts",
    find: "if (!options.trustClock) doubt(",
    replace: "if (options.trustClock) doubt(",
    test: {
      file: command,
      name: "by its age while the host seems silent, as by a clock that is ahead, unless that is meant",
    },
  },
  {
    guard: "what was erased is told, and audited, also where it fails on the way",
    file: "shipper/commands/prune.ts",
    find: "if (erased.length === 0) throw thrown;",
    replace: "if (erased.length >= 0) throw thrown;",
    test: { file: command, name: "a failure on the way is told with what is gone, and stands so in the audit file" },
  },
  {
    guard: "what was done is in the audit file, whether it can be told or not",
    file: "shipper/program.ts",
    find: "    audit?.ended(endOf(outcome));\n    audit = undefined;\n    await tell(context, flags.json, outcome);\n",
    replace:
      "    await tell(context, flags.json, outcome);\n    audit?.ended(endOf(outcome));\n    audit = undefined;\n",
    test: { file: audit, name: "whose result can not be told is there with what it did" },
  },
  {
    guard: "looking at what would go keeps no backup from running",
    file: "shipper/commands/prune.ts",
    find: "options.delete ? lockOf(context, source) : () => {}",
    replace: "lockOf(context, source)",
    test: { file: command, name: "while it only looks, it takes no lock, and writes nothing" },
  },
  {
    guard: "nothing is erased by the word of a stranger",
    file: "shipper/commands/prune.ts",
    find: "if (options.delete && !source.pinned) throw unpinned(source);",
    replace: "",
    test: { file: command, name: "where nothing proves who wrote the store" },
  },
  {
    guard: "pruning and a backup of this host exclude each other",
    file: "shipper/commands/prune.ts",
    find: "return config?.host.id === hostId ? lock",
    replace: "return config?.host.id === undefined ? lock",
    test: { file: command, name: "it does not run at the same time as a backup" },
  },
  {
    guard: "an empty rule is no 0",
    file: "shipper/program.ts",
    find: 'value.trim() === "" ? Number.NaN : Number(value)',
    replace: "Number(value)",
    test: { file: command, name: "by a rule that is empty" },
  },
  {
    guard: "a restore of everything that does not fit is not begun",
    file: "shipper/commands/restore-all.ts",
    find: "if (path !== undefined) demands.push",
    replace: "if (path === null) demands.push",
    test: {
      file: "test/shipper/commands/restore-all.test.ts",
      name: "is not begun on a disk without room, says how much it needs, and goes on when there is some",
    },
  },
  {
    guard: "a backup that does not fit is not begun",
    file: "shipper/commands/run-stores.ts",
    find: "refuseFullStore(files, url, components, sizes);",
    replace: "",
    test: {
      file: "test/shipper/commands/backup-room.test.ts",
      name: "is refused before anything is written, with both figures, the place and what to do",
    },
  },
  {
    guard: "small files take more room than their bytes",
    file: "shipper/free-space.ts",
    find: "sum + bytes + files * bsize",
    replace: "sum + bytes + files * 0",
    test: { file: "test/shipper/free-space.test.ts", name: "each file counts for a block more" },
  },
  {
    guard: "demands on one disk are taken together",
    file: "shipper/free-space.ts",
    find: "files.statSync(existing(files, path)).dev",
    replace: "path",
    test: {
      file: "test/shipper/free-space.test.ts",
      name: "what is there already counts, and demands on one disk count together",
    },
  },
  {
    guard: "an audit file that can not be written is no reason not to back up",
    file: "shipper/audit.ts",
    find: 'const { message, detail = "" } = asMailarkError(thrown);',
    replace: 'const { message, detail = "" } = asMailarkError(thrown);\n      if (message) throw thrown;',
    test: { file: audit, name: "is not made to fail by a file that can not be written, and says so once" },
  },
  {
    guard: "the audit file does not grow without bound",
    file: "shipper/audit.ts",
    find: "if (isFull()) putAside(files, path, isFull);",
    replace: "",
    test: { file: audit, name: "is put aside when it is full, and the oldest goes: at most six of a mebibyte" },
  },
  {
    guard: "two that put the audit file aside at once lose no line",
    file: "shipper/audit.ts",
    find: "release = lock(files, `${path}.lock`);",
    replace: "release = () => {};",
    test: { file: audit, name: "put aside by two at once keeps every line of both" },
  },
  {
    guard: "the audit does not write through a link",
    file: "shipper/audit.ts",
    find: " | constants.O_NOFOLLOW",
    replace: "",
    test: { file: audit, name: "is never what a link leads to" },
  },
  {
    guard: "a torn line of the audit file does not spoil the next",
    file: "shipper/audit.ts",
    find: "size > 0 && last[0] !== 0x0a ? `\\n${line}` : line",
    replace: "line",
    test: { file: audit, name: "killed %s of putting it aside, keeps every line but the oldest, and goes on" },
  },
  {
    guard: "no key and no password stands in the audit file",
    file: "shipper/audit.ts",
    find: "words: words.map(withoutSecrets)",
    replace: "words",
    test: { file: audit, name: "leaves no secret there" },
  },
];
