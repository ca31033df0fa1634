import type { Guard } from "./guard.ts";

const hostile = "test/shipper/components/tree/hostile.test.ts";
const broken = "test/shipper/components/tree/broken-tar.test.ts";
const service = "test/shipper/components/tree/service.test.ts";
const certificates = "test/shipper/components/certs/certificates.test.ts";

const at = (name: string) => `shipper/components/tree/${name}`;

const vet = (guard: string, find: string, replace: string, name: string): Guard => ({
  guard,
  file: at("vet.ts"),
  find,
  replace,
  test: { file: hostile, name },
});

/** Trees of files: no archive escapes a restore, no tar that failed becomes a snapshot, nothing live is written over. */
export const treeGuards: readonly Guard[] = [
  vet(
    "no member climbs",
    'name !== "" && name !== "." && name !== ".." && ',
    'name !== "" && name !== "." && ',
    "a path that climbs",
  ),
  vet(
    "no member is below a link",
    'if (!parentsOf(path).every(isDirectory)) return "below";',
    "",
    "a file below a link that leads out",
  ),
  vet(
    "one path is one member",
    'if (before !== undefined && !(before === "implied" && kind === "directory")) return "duplicate";',
    "",
    "a file in the place of a link",
  ),
  vet(
    "a hard link leads to a file of the archive",
    '["file", "hardlink"].includes(this.#seen.get(target) ?? "")',
    'target !== ""',
    "a hard link to what comes later",
  ),
  vet("no device and no FIFO comes back", 'if (kind === "device" || kind === "fifo") return "special";', "", "a FIFO"),
  vet(
    "no program comes back with its owner's rights",
    "member.mode & ~setIdBits",
    "member.mode",
    "a set-user-ID program",
  ),
  vet("no attribute but the users' own comes back", "/^user\\../.test(name)", 'name !== ""', "a capability"),
  vet("no file is larger than the disk", " || size > this.#room.capacity", "", "a hole larger than the disk"),
  {
    guard: "a size beyond the archive is not believed",
    file: at("read-tar.ts"),
    find: 'if (declared > limit - bytes.taken) throw corruptArchive("a member that is larger than the archive");',
    replace: "",
    test: { file: hostile, name: "the size is told before a byte of the member goes on" },
  },
  {
    guard: "a tree ends with two blocks of zeros",
    file: at("read-tar.ts"),
    find: "if (!(await bytes.exactly(block)).every((byte) => byte === 0))",
    replace: "if (false)",
    test: { file: hostile, name: "half an end" },
  },
  {
    guard: "what tar ended with counts",
    file: at("tar-output.ts"),
    find: "if (exit.code === 2 && unreadable + absent > 0 && isOfFiles)",
    replace: "if (exit.code === 2)",
    test: { file: broken, name: "fails at its end, after all its output, gives no snapshot" },
  },
  {
    guard: "files that moved are read again",
    file: at("capture-tree.ts"),
    find: "if (said.some(({ changed }) => changed > 0) && !acceptsMotion) throw new InMotion();",
    replace: "",
    test: {
      file: broken,
      name: "change at the first attempt only are read again, and the snapshot is complete and whole",
    },
  },
  {
    guard: "each path is read by itself",
    file: at("tar-command.ts"),
    find: "create(`--add-file=",
    replace: 'create("--no-recursion", "--add-file=usr", "--recursion", `--add-file=',
    test: { file: broken, name: "move to where they are read again are no hard links to what was read before" },
  },
  {
    guard: "nothing is switched that failed a check",
    file: at("stage-tree.ts"),
    find: "if (failed.length > 0) {",
    replace: "if (failed.length > 1000) {",
    test: { file: service, name: "nothing is touched where something in the archive is unsafe" },
  },
  {
    guard: "only paths that the configuration names are replaced",
    file: at("stage-tree.ts"),
    find: "if (other !== undefined) {",
    replace: "if (other === null) {",
    test: { file: service, name: "a path that the configuration does not name is refused" },
  },
  {
    guard: "no directory of the system itself is replaced",
    file: at("place-tree.ts"),
    find: 'if (exists && parent === "/") refuse(',
    replace: 'if (exists && parent === "") refuse(',
    test: { file: service, name: "a directory of the system itself is refused" },
  },
  {
    guard: "a switch that fails is taken back",
    file: at("switch-tree.ts"),
    find: "const left = await takeBack(undo);",
    replace: "const left: unknown[] = [];",
    test: { file: service, name: "fails at any step, everything is as it was before" },
  },
  {
    guard: "an interrupt does not reach what exchanges two paths",
    file: at("switch-tree.ts"),
    find: '["setsid", "perl",',
    replace: '["perl",',
    test: {
      file: service,
      name: "is interrupted when two paths were exchanged just now, everything is as it was before",
    },
  },
  {
    guard: "what was live is not swept away where a switch can not be taken back",
    file: at("switch-tree.ts"),
    find: "if (failures.has(point)) continue;",
    replace: "",
    test: { file: service, name: "can not be taken back at one path, the others are, and nothing is lost" },
  },
  {
    guard: "what a killed switch left is not removed",
    file: at("place-tree.ts"),
    find: ", bytePath(kept));",
    replace: ", bytePath(kept)); remove(kept);",
    test: {
      file: service,
      name: "dies at any step, each path is the old one or the new one, and running it again completes it",
    },
  },
  {
    guard: "a certificate's key is its own",
    file: "shipper/components/certs/check.ts",
    find: "if (!leaf.checkPrivateKey(createPrivateKey(key)))",
    replace: "if (false)",
    test: { file: certificates, name: "whose key is another's" },
  },
  {
    guard: "what checkers of configurations may read no other program may",
    file: "shipper/components/configs/private-copy.ts",
    find: "() => 0x70000000 + process.pid",
    replace: "() => 65534",
    test: {
      file: "test/shipper/components/configs/checkers.test.ts",
      name: "checkers run as an account that is nobody else's",
    },
  },
];
