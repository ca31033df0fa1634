/** One store: whether it is there, knows this host and takes what it is given, whose clock it has, and what is in it of late. */
import { readTrust } from "../../core/enrolment.ts";
import { asMailarkError } from "../../core/errors.ts";
import { type ComponentName, enrolmentKey } from "../../core/keys.ts";
import type { Signer } from "../../core/signed-document.ts";
import { timeOfSnapshotId } from "../../core/snapshot-id.ts";
import { probeStore, type StoreProbe } from "../../core/stores/probe.ts";
import type { ObjectEraser, ObjectReplacer } from "../../core/stores/store.ts";
import type { World } from "../components/component.ts";
import { auditPath, backlogPath, type Store, sizesPath } from "../composition.ts";
import type { Config } from "../config.ts";
import { packBytes } from "../pipeline/pack-lane.ts";
import { storeIdentity } from "../store-url.ts";
import { openBacklog } from "../stores/backlog.ts";
import { lastSizes } from "../stores/last-sizes.ts";
import { countOf, durationText, sizeText, timeText } from "../terminal/quantity.ts";
import { lastBackups } from "./last-backups.ts";
import { adviceOf, inTime, looked, reasonOf } from "./looking.ts";
import { newestSnapshot } from "./newest.ts";
import { type FindingCode, fine, found, type Observation, type OwnCommand, unproven } from "./observation.ts";

export interface StorePatient {
  readonly store: Store;
  readonly eraser: ObjectEraser;
  /** `undefined`: it is a directory. */
  readonly replacer: ObjectReplacer | undefined;
  /** As it may be shown. */
  readonly url: string;
  /** Where it is a directory of this machine. */
  readonly directory: string | undefined;
  readonly config: Config;
  /** `undefined` where the key can not be read. */
  readonly signer: Signer | undefined;
  readonly components: readonly ComponentName[];
  readonly world: Pick<World, "files" | "clock" | "signal">;
  readonly own: OwnCommand;
}

const minute = 60_000;
const day = 24 * 60 * minute;
/** S3 refuses requests whose time is off by more than 15 minutes; ids of snapshots order what was stored. */
const clockTolerance = 5 * minute;
/** As `list` and `backup` have it: clocks differ a little. */
const futureTolerance = 60 * minute;
/** A backup is a daily affair, and one night may fail. */
const oldest = 3 * day;

/** Stores a small object below `doctor/` where the store knows this host, and erases it where it may. */
export async function lookAtStore(patient: StorePatient): Promise<readonly Observation[]> {
  const { store, url, world } = patient;
  const there = await looked("there", world, () => [store.exists() ? fine("there", url) : absent(url)]);
  if (there[0]?.outcome !== "fine") return there;
  const seen = [...there];
  for (const [check, look] of [
    ["enrolment", lookAtEnrolment],
    ["writing", lookAtWriting],
    ["snapshots", lookAtSnapshots],
  ] as const) {
    try {
      seen.push(...(await inTime(world, (world) => look({ ...patient, world }))));
    } catch (thrown) {
      world.signal.throwIfAborted();
      if (!isAway(thrown)) {
        seen.push(unproven(check, reasonOf(thrown)));
        continue;
      }
      seen.push(failed(check, thrown, url), unproven("everything else", "it is not asked: the store does not answer"));
      return [...seen, ...(await lookAtOwn(patient))];
    }
    // An empty directory under a mount point is no store: nothing is written there.
    if (seen.some((each) => "code" in each && each.code === "NOT_ENROLLED")) return seen;
  }
  return [...seen, ...(await lookAtOwn(patient))];
}

/** There is no use in asking such a store for more. */
const isAway = (thrown: unknown) =>
  ["STORE_UNREACHABLE", "STORE_BUSY", "PROGRAM_STALLED"].includes(asMailarkError(thrown).code);

const failed = (check: string, thrown: unknown, url: string) =>
  found("STORE_FAILED", check, reasonOf(thrown), adviceOf(thrown, `mend ${url}: nothing can be stored there`));

const absent = (url: string) =>
  found("STORE_MISSING", "there", `there is no store at ${url}`, {
    advice:
      "mount the disk that it is on, or correct the path in the configuration; for a new store, make the directory and run mailark enrol",
  });

async function lookAtEnrolment({ store, url, config, signer, world }: StorePatient): Promise<Observation[]> {
  const check = "enrolment";
  if (signer === undefined) return [unproven(check, "the signing key can not be read")];
  const { signal } = world;
  const { id } = config.host;
  if ((await store.head(enrolmentKey(id, signer.keyId), { signal })) === undefined) {
    const detail = `${url} does not know host ${id} with this signing key; is its disk mounted?`;
    return [
      found("NOT_ENROLLED", check, detail, {
        advice: "mount the disk that the store is on; only for a store that is new, run `mailark enrol`",
      }),
    ];
  }
  const { keys } = await readTrust(store, id, [signer.fingerprint]);
  const { recoveryRecipient } = keys[0]!.enrolment;
  if (recoveryRecipient === config.recovery) return [fine(check, `host ${id}`)];
  return [
    found(
      "ENROLMENT_DIFFERS",
      check,
      `recovery is ${config.recovery}, and was ${recoveryRecipient} when the host was introduced: the recovery sheet may not open what is stored from now on`,
      {
        advice: `write recovery: ${recoveryRecipient} into ${config.path}; for another recovery key on purpose, make a signing key as well and run mailark enrol`,
      },
    ),
  ];
}

async function lookAtWriting(patient: StorePatient): Promise<readonly Observation[]> {
  const { store, eraser, replacer, url, directory, config, world } = patient;
  const { clock, signal } = world;
  const before = clock.now();
  try {
    const probe = await probeStore({ ...store, ...eraser, ...replacer }, config.host.id, signal);
    const time = lookAtClock(probe.receivedAt, before, clock.now());
    return [fine("writing", "an object was stored"), time, ...(directory === undefined ? lookAtPromises(probe) : [])];
  } catch (thrown) {
    signal.throwIfAborted();
    if (isAway(thrown)) throw thrown;
    return [failed("writing", thrown, url)];
  }
}

/** A store has a clock of its own, where it is not a disk of this machine. */
function lookAtClock(receivedAt: number | undefined, before: number, after: number): Observation {
  if (receivedAt === undefined) return unproven("clock", "what was stored can not be asked for its time");
  // Whole seconds, in some stores.
  const off = receivedAt < before - 1000 ? before - receivedAt : Math.max(0, receivedAt - after);
  if (off <= clockTolerance)
    return fine("clock", `the store's differs by less than ${durationText(Math.max(off, 1000))}`);
  const detail = `it is ${timeText(after)} here and ${timeText(receivedAt)} in the store: snapshots would be in a wrong order, and S3 refuses`;
  return found("CLOCK_DIFFERS", "clock", detail, {
    advice: "set the clock of this machine: timedatectl set-ntp true, or ntpdate",
  });
}

/** A host that was broken into has its credentials: they must be able to create, and nothing else. In a directory root can do anything. */
function lookAtPromises({ findings }: StoreProbe): Observation[] {
  const is = new Map(findings.map(({ question, answer }) => [question, answer]));
  const promise = (
    kept: boolean | undefined,
    code: FindingCode,
    check: string,
    [good, bad, advice]: readonly [string, string, string],
  ) => (kept ? fine(check, good) : found(code, check, bad, { advice }));
  const policy =
    "let its policy allow s3:PutObject and s3:AbortMultipartUpload below its prefix and nothing else, the former only with s3:if-none-match, but for parts of an upload (s3:ObjectCreationOperation): docs/guide.md has it word for word";
  const isRefused = is.get("refuses to replace");
  const replaces = is.get("keeps versions")
    ? "put something else in a backup's place, and only its older version stays"
    : "overwrite every backup";
  return [
    promise(isRefused && !is.get("lets overwrite"), "STORE_REPLACES", "create-only", [
      "nothing that was stored can be replaced with these credentials",
      `${isRefused ? "these credentials may put without If-None-Match" : "the store does not refuse to replace what is there"}: who has them can ${replaces}`,
      isRefused
        ? `${policy}; where the provider knows no such condition, let the bucket keep versions`
        : "use a store that knows If-None-Match, take conditional=false out of its URL, and let the bucket keep versions",
    ]),
    promise(is.get("says the checksum"), "STORE_CHECKSUM_MISSING", "checksum", [
      "the store says what it received",
      "the store does not say what it received: only mailark verify proves that it arrived whole",
      "take checksum=md5 out of the URL of the store, where it knows CRC64NVME",
    ]),
    promise(!is.get("lets read") && !is.get("lets list"), "STORE_READABLE", "reading", [
      "these credentials may not",
      "this host can read what it stored, and needs not: who has its credentials sees names and sizes of all backups",
      `give this host other credentials than those that verify and restore: ${policy}`,
    ]),
    promise(!is.get("lets erase"), "STORE_ERASABLE", "erasing", [
      "these credentials may not",
      `this host can erase what it stored${is.get("keeps versions") ? ", though the bucket keeps versions" : ""}: so can who breaks into it`,
      `prune with other credentials than those of this host: ${policy}`,
    ]),
  ];
}

async function lookAtSnapshots(patient: StorePatient): Promise<readonly Observation[]> {
  const { store, config, components, signer, world } = patient;
  if (signer === undefined) return [unproven("snapshots", "the signing key can not be read")];
  const seen: Observation[] = [];
  try {
    for (const each of components) {
      const { snapshotId, doubtful } = await newestSnapshot(store, config.host.id, each, signer, world.signal);
      seen.push(lookAtAge(patient, each, snapshotId));
      if (doubtful > 0) {
        const what = countOf(doubtful, "snapshot");
        seen.push(unproven(`newer ${each}`, `${what} can not be believed; mailark verify says why`));
      }
    }
    return seen;
  } catch (thrown) {
    world.signal.throwIfAborted();
    if (asMailarkError(thrown).code !== "STORE_FORBIDDEN") throw thrown;
    return askAudit(patient);
  }
}

/** What this machine itself knows of the store. */
async function lookAtOwn(patient: StorePatient): Promise<readonly Observation[]> {
  return [
    ...(await looked("backlog", patient.world, () => [lookAtBacklog(patient)])),
    ...(await looked("space", patient.world, () => lookAtSpace(patient))),
  ];
}

/** A host that may only create knows what it stored, and not what is there. */
function askAudit(patient: StorePatient): Observation[] {
  const { url, config, components, world } = patient;
  const last = lastBackups(world.files, auditPath(config), config.host.id, storeIdentity(url));
  const ages = components.map((each) => lookAtAge(patient, each, last.get(each)));
  return [
    unproven("snapshots", "these credentials may not list or read them; the audit file says what was stored"),
    ...ages,
  ];
}

function lookAtAge(
  { world, own }: StorePatient,
  component: ComponentName,
  snapshotId: string | undefined,
): Observation {
  const check = `newest ${component}`;
  if (snapshotId === undefined) {
    return found("SNAPSHOT_OLD", check, `there is no snapshot of ${component} yet`, own("backup", component));
  }
  const age = world.clock.now() - timeOfSnapshotId(snapshotId);
  if (age < -futureTolerance) {
    return found("SNAPSHOT_OF_FUTURE", check, `${snapshotId} is of a time to come, and is the latest until then`, {
      advice:
        "look at the clock of this machine; where that is right, wait, and name another snapshot with --at until then",
    });
  }
  if (age <= oldest) return fine(check, `${durationText(Math.max(age, 0))} old`);
  const detail = `the newest snapshot of ${component} is ${durationText(age)} old: is there a schedule, and does it run?`;
  return found("SNAPSHOT_OLD", check, detail, own("backup", component));
}

/** What a store that failed missed, the next backup brings to it. */
function lookAtBacklog({ url, config, world, own }: StorePatient): Observation {
  const name = storeIdentity(url);
  const owed = openBacklog(world.files, backlogPath(config), [name]).entries().length;
  if (owed === 0) return fine("backlog", "nothing is owed to it");
  return found(
    "STORE_BEHIND",
    "backlog",
    `${countOf(owed, "object")} of earlier runs may be missing in ${name}`,
    own("backup"),
  );
}

/** Of a directory: the room for one more run as large as the last, by what a backup itself remembers of it. */
function lookAtSpace({ directory, config, components, world: { files } }: StorePatient): Observation[] {
  if (directory === undefined) return [];
  const { bavail, bsize, files: inodes, ffree } = files.statfsSync(directory);
  const free = bavail * bsize;
  const sizes = lastSizes(files, sizesPath(config));
  const known = components.flatMap((each) => sizes[each] ?? []);
  const needed = known.reduce((sum, bytes) => sum + bytes, 0);
  // A run has a few documents besides, and directories for them.
  const objects = Math.ceil(needed / packBytes) + 100;
  const room =
    free < needed
      ? found(
          "STORE_SPACE_LOW",
          "space",
          `${sizeText(free)} are free in ${directory}, and a run like the last takes ${sizeText(needed)}`,
          {
            advice: "free space on the file system of the store, or give it a larger one",
          },
        )
      : known.length < components.length
        ? unproven("space", `${sizeText(free)} are free; what a run takes is known after each component's first backup`)
        : fine("space", `${sizeText(free)} are free, a run like the last takes ${sizeText(needed)}`);
  // Some file systems have no fixed number: they say 0.
  const names =
    inodes > 0 && ffree < objects
      ? found(
          "STORE_INODES_LOW",
          "inodes",
          `${ffree} inodes are free in ${directory}, and a run like the last takes ${objects}`,
          {
            advice: "remove small files from the file system of the store, or make one with more inodes",
          },
        )
      : fine("inodes", inodes > 0 ? `${ffree} are free` : "as many as there is room for");
  return [room, names];
}
