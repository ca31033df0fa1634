import type { Guard } from "./guard.ts";

const findings = "test/shipper/doctor/findings.test.ts";
const cloud = "test/shipper/doctor/cloud-findings.test.ts";
const services = "test/shipper/doctor/service-findings.test.ts";

/** The doctor: claims only what was seen, and changes nothing. */
export const doctorGuards: readonly Guard[] = [
  {
    guard: "a configuration of another user is told",
    file: "shipper/doctor/configuration.ts",
    find: "if (uid !== 0 && uid !== self) {",
    replace: "if (uid < 0) {",
    test: { file: findings, name: "$code: found where $where" },
  },
  {
    guard: "a directory in which others can replace the configuration is told",
    file: "shipper/doctor/configuration.ts",
    find: "if (open.length === 0) return",
    replace: "if (open.length >= 0) return",
    test: { file: findings, name: "$code: found where $where" },
  },
  {
    guard: "no command is printed that is of another file",
    file: "shipper/doctor/observation.ts",
    find: "if (printable(command) === command) return",
    replace: "if (command) return",
    test: {
      file: "test/shipper/doctor/observation.test.ts",
      name: "a name that can not be printed makes no command, but a sentence",
    },
  },
  {
    guard: "what could not be looked at is not fine",
    file: "shipper/doctor/looking.ts",
    find: "return [unproven(check, reasonOf(thrown))];",
    replace: 'return [{ check, outcome: "fine", detail: reasonOf(thrown) }];',
    test: {
      file: findings,
      name: "what can not be looked at is unproven, never fine, and counts where --strict asks for it",
    },
  },
  {
    guard: "a doctor writes nothing where the store does not know this host",
    file: "shipper/doctor/store.ts",
    find: 'if (seen.some((each) => "code" in each && each.code === "NOT_ENROLLED")) return seen;',
    replace: "",
    test: { file: findings, name: "in a place that is no store of this host: nothing is written there" },
  },
  {
    guard: "what a doctor tries to write is gone again",
    file: "shipper/doctor/configuration.ts",
    find: "  files.unlinkSync(path);",
    replace: "",
    test: { file: findings, name: "neither on this machine nor in a store where what was tried can be taken back" },
  },
  {
    guard: "a problem is an exit status",
    file: "shipper/commands/doctor.ts",
    find: "problems > 0 || ",
    replace: "",
    test: { file: findings, name: "every store is looked at, each by itself" },
  },
  {
    guard: "a strict doctor counts what is unproven",
    file: "shipper/commands/doctor.ts",
    find: "(strict && warnings + open > 0)",
    replace: "(strict && warnings > 0)",
    test: {
      file: findings,
      name: "what can not be looked at is unproven, never fine, and counts where --strict asks for it",
    },
  },
  {
    guard: "a right of MariaDB that a dump does without is missed",
    file: "shipper/components/mysql/rights.ts",
    find: '["SELECT", "SHOW VIEW", "TRIGGER", "EVENT"]',
    replace: '["SELECT", "SHOW VIEW"]',
    test: { file: services, name: "$code: found where $where" },
  },
  {
    guard: "a store that missed something is told",
    file: "shipper/doctor/store.ts",
    find: "if (owed === 0) return fine(",
    replace: "if (owed >= 0) return fine(",
    test: { file: findings, name: "$code: found where $where" },
  },
  {
    guard: "what another host backed up is not taken for this one's",
    file: "shipper/doctor/last-backups.ts",
    find: "|| data.hostId !== hostId",
    replace: "",
    test: {
      file: "test/shipper/doctor/last-backups.test.ts",
      name: "are those of this host in this store, the newest of each component",
    },
  },
  {
    guard: "a store that missed a backup is not said to have it",
    file: "shipper/doctor/last-backups.ts",
    find: "|| !data.stores.includes(store)",
    replace: "",
    test: {
      file: "test/shipper/doctor/last-backups.test.ts",
      name: "are those of this host in this store, the newest of each component",
    },
  },
  {
    guard: "what was silent is not asked for its content",
    file: "shipper/doctor/doctor.ts",
    find: "if (wasSilent(seen)) {",
    replace: "if (seen.length < 0) {",
    test: {
      file: "test/shipper/doctor/deadline.test.ts",
      name: "a server that accepts and is silent is unproven, and is not asked for its content",
    },
  },
  {
    guard: "a store that can not be reached is not asked for more",
    file: "shipper/doctor/store.ts",
    find: "if (!isAway(thrown)) {",
    replace: "if (true) {",
    test: {
      file: "test/shipper/doctor/deadline.test.ts",
      name: "a store that can not be reached is asked once: the rest of it is unproven, and what this machine knows is told",
    },
  },
  {
    guard: "a manifest that nobody signed is no snapshot",
    file: "shipper/doctor/newest.ts",
    find: "if (asMailarkError(thrown).exitCode !== exitCodes.verification) throw thrown;",
    replace: "return { snapshotId, doubtful };",
    test: {
      file: "test/shipper/doctor/newest.test.ts",
      name: "a manifest that nobody of this host signed is not taken for a snapshot, and is told",
    },
  },
  {
    guard: "room for a run of unknown size is not fine",
    file: "shipper/doctor/store.ts",
    find: "known.length < components.length",
    replace: "known.length < 0",
    test: {
      file: "test/shipper/doctor/own-knowledge.test.ts",
      name: "room for a run is unproven before the first, and then what this machine remembers of the last",
    },
  },
  {
    guard: "a host that may read what it stored is told so",
    file: "shipper/doctor/store.ts",
    find: 'promise(!is.get("lets read") && !is.get("lets list"), ',
    replace: "promise(true, ",
    test: { file: cloud, name: "$code: found where $where" },
  },
  {
    guard: "a host that may erase what it stored is told so",
    file: "shipper/doctor/store.ts",
    find: 'promise(!is.get("lets erase"), ',
    replace: "promise(true, ",
    test: { file: cloud, name: "$code: found where $where" },
  },
  {
    guard: "an empty mail root is told before a capture",
    file: "shipper/components/mail/estimate.ts",
    find: "if (mailboxes.length === 0) throw noMailboxes(config);",
    replace: "",
    test: { file: findings, name: "$code: found where $where" },
  },
];
