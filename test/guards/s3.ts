import type { Guard } from "./guard.ts";

const upload = "core/stores/s3-upload.ts";
const store = "core/stores/s3.ts";
const retry = "core/stores/retry.ts";
const contract = "test/contract/s3-store.test.ts";
const unit = "test/core/stores/s3.test.ts";
const probe = "test/core/stores/probe.test.ts";
const aside = "test/shipper/sealing-keys-aside.test.ts";

/** The store in S3, what asks it again, and a host that may only create. */
export const s3Guards: readonly Guard[] = [
  {
    guard: "a host of AWS is a role's session",
    file: "shipper/caller-id.ts",
    find: "if (!/^AROA[A-Z0-9]+:/.test(userId)) {",
    replace: 'if (userId === "") {',
    test: { file: "test/shipper/caller-id.test.ts", name: "names no host where it is %s" },
  },
  {
    guard: "a session's name is taken into keys only where it can stand there",
    file: "shipper/caller-id.ts",
    find: "if (patterns.hostId.test(userId)) return userId;",
    replace: "if (userId) return userId;",
    test: { file: "test/shipper/caller-id.test.ts", name: "names no host where it is %s" },
  },
  {
    guard: "a refusal of the host's own objects is told as it is",
    file: "shipper/stores/told-apart.ts",
    find: "if (own === hostId) return refusal;",
    replace: "",
    test: {
      file: "test/shipper/stores/told-apart.test.ts",
      name: "a refusal of what is the host's own is told as it is",
    },
  },
  {
    guard: "nobody is asked whose credentials they are but after a refusal",
    file: "shipper/stores/told-apart.ts",
    find: 'if (error.code !== "STORE_FORBIDDEN") throw error;',
    replace: "",
    test: {
      file: "test/shipper/stores/told-apart.test.ts",
      name: "nobody is asked where the store takes it, or fails in another way",
    },
  },
  {
    guard: "a machine with another's configuration is told so",
    file: "shipper/composition.ts",
    find: 'return hostId === "sts" ?',
    replace: "return hostId === undefined ?",
    test: {
      file: "test/e2e/host-in-aws.test.ts",
      name: "a machine that took over another's configuration is told so by each command that stores, and stores nothing",
    },
  },
  {
    guard: "an approval that is there is not replaced by a paste",
    file: "shipper/approval.ts",
    find: " --if-none-match '*'",
    replace: "",
    test: {
      file: "test/e2e/host-in-aws.test.ts",
      name: "a host of the vault is called as its credentials are, and what it prints approves it",
    },
  },
  {
    guard: "an object in S3 is created and never replaced",
    file: upload,
    find: 'conditional ? { IfNoneMatch: "*" } : {}',
    replace: "conditional ? {} : {}",
    test: { file: contract, name: "never overwrites" },
  },
  {
    guard: "the receipt is what the store measured",
    file: upload,
    find: 'crc64nvme: Buffer.from(measured, "base64").toString("hex")',
    replace: 'crc64nvme: "0".repeat(16)',
    test: { file: unit, name: "gives the checksum that the store answers, not its own" },
  },
  {
    guard: "a store that does not say what it received is not believed",
    file: upload,
    find: 'if (checksum === "md5") return { bytes',
    replace: "if (checksum) return { bytes",
    test: { file: unit, name: "fails where the store does not say what it received, unless that is known" },
  },
  {
    guard: "a request declares the checksum of its body",
    file: upload,
    find: "{ ChecksumCRC64NVME: base64(crc.digest()) }",
    replace: "{}",
    test: { file: contract, name: "refuses %i bytes of which one has changed on its way" },
  },
  {
    guard: "parts that will be no object are taken back",
    file: upload,
    find: "await abandon(options, target);",
    replace: "",
    test: { file: contract, name: "leaves no parts behind that would cost, whatever ends a put" },
  },
  {
    guard: "a part that failed ends the wait for the body",
    file: upload,
    find: "sending.catch(giveUp)",
    replace: "sending.catch(() => {})",
    test: {
      file: unit,
      name: "whose part fails ends at once, also while its body waits, and is given up in the store",
    },
    hangs: true,
  },
  {
    guard: "few parts are in memory at a time",
    file: upload,
    find: "while (busy > 0 && ",
    replace: "while (busy < 0 && ",
    test: { file: unit, name: "has a few parts under way at a time, and no more" },
  },
  {
    guard: "a range past the end of an object in S3 is told",
    file: store,
    find: "if (range !== undefined && piece.size < range.end) throw",
    replace: "if (piece.size < 0) throw",
    test: { file: contract, name: "tells a range that reaches past the end" },
  },
  {
    guard: "an answer of other bytes than were asked for is told",
    file: store,
    find: "if (piece.length !== Math.min(last + 1, end) - position) throw",
    replace: "if (piece.length < 0) throw",
    test: { file: unit, name: "an answer of other bytes than were asked for is damage" },
  },
  {
    guard: "two objects are not read as one",
    file: store,
    find: ", ...(etag !== undefined && { IfMatch: etag })",
    replace: "",
    test: { file: unit, name: "an object that was replaced between two pieces is not put together" },
  },
  {
    guard: "a refusal without a reason is not taken for absence",
    file: store,
    find: "return headByReading(key, signal);",
    replace: "return undefined;",
    test: { file: unit, name: "a bucket that is not there is not an object that is absent" },
  },
  {
    guard: "what no key can name is not listed",
    file: store,
    find: "rows.filter(isOurs)",
    replace: "rows",
    test: { file: unit, name: "what others have put into the bucket is not listed" },
  },
  {
    guard: "a password with a slash is none of what is shown of a URL",
    file: "shipper/store-url.ts",
    find: "?.*@/is",
    replace: "?[^/@]*@/is",
    test: {
      file: "test/core/stores/s3-url.test.ts",
      name: "is refused without its password where it is no URL of a store: %s",
    },
  },
  {
    guard: "credentials do not stand in a URL",
    file: "core/stores/s3-url.ts",
    find: 'if (authority.includes("@") || authority.includes(":")) {',
    replace: "if (authority === undefined) {",
    test: {
      file: "test/core/stores/s3-url.test.ts",
      name: "is refused with %s, in one message with the fix and without what may be secret",
    },
  },
  {
    guard: "somebody else's object is not taken for one's own",
    file: retry,
    find: 'if (inDoubt && error.code === "OBJECT_EXISTS")',
    replace: 'if (error.code === "OBJECT_EXISTS")',
    test: {
      file: "test/core/stores/retry.test.ts",
      name: "is told when somebody else's object was there before it was sent at all",
    },
  },
  {
    guard: "a refusal that did nothing leaves no doubt",
    file: retry,
    find: 'inDoubt ||= error.retryable && error.code === "STORE_UNREACHABLE";',
    replace: "inDoubt = true;",
    test: { file: "test/core/stores/retry.test.ts", name: "is told after a refusal that certainly did nothing" },
  },
  {
    guard: "what is in doubt stays in doubt",
    file: retry,
    find: "throw inDoubt && ",
    replace: "throw !inDoubt && ",
    test: { file: "test/core/stores/retry.test.ts", name: "stays in doubt when a later try meets %s" },
  },
  {
    guard: "a request that never went out leaves no doubt",
    file: "core/stores/s3-error.ts",
    find: 'isUnsent(error) ? "STORE_BUSY"',
    replace: 'isUnsent(error) ? "STORE_UNREACHABLE"',
    test: { file: unit, name: "before it was sent has certainly done nothing: %s" },
  },
  {
    guard: "a store that can neither refuse nor be asked is not written to",
    file: store,
    find: 'if (error.code === "STORE_FORBIDDEN") throw blind(error);',
    replace: 'if (error.code === "STORE_FORBIDDEN") return undefined;',
    test: { file: unit, name: "stores nothing unlooked where the store can not create conditionally" },
  },
  {
    guard: "a listing of S3 that breaks off is told",
    file: store,
    find: "page.IsTruncated && !page.NextContinuationToken",
    replace: "page.IsTruncated && !page.IsTruncated",
    test: { file: unit, name: "a listing that breaks off is not taken for a whole one: %o" },
  },
  {
    guard: "what these credentials may overwrite is tried, before it is called safe",
    file: "core/stores/probe.ts",
    find: "const createOnly = isRefused && !overwrites;",
    replace: "const createOnly = isRefused;",
    test: {
      file: probe,
      name: "promises nothing of a store that refuses, where the credentials may leave out what it refuses by",
    },
  },
  {
    guard: "what is assumed of a store is not what it says",
    file: "core/stores/probe.ts",
    find: "!receipts.some(({ assumed }) => assumed)",
    replace: "receipts.length > 0",
    test: { file: probe, name: "judges anew where an answer was lost %s the put was done" },
  },
  {
    guard: "the probe asks as a thief would",
    file: store,
    find: "place: { ...place, conditional: false }",
    replace: "place",
    test: { file: "test/shipper/doctor/cloud-findings.test.ts", name: "$code: found where $where" },
  },
  {
    guard: "what can not succeed is not tried again",
    file: retry,
    find: "if (!error.retryable || ",
    replace: "if (",
    test: { file: "test/core/stores/retry.test.ts", name: "tells %s at once" },
  },
  {
    guard: "a clock that is set back does not stop what is limited",
    file: "core/stores/bandwidth.ts",
    find: " || freeAt > now + furthest",
    replace: "",
    test: { file: "test/core/stores/bandwidth.test.ts", name: "a clock that is set back does not stop it" },
  },
  {
    guard: "all stores share the line",
    file: "shipper/composition.ts",
    find: "paces.get(bytesPerSecond) ?? ",
    replace: "",
    test: { file: "test/shipper/composition.test.ts", name: "one limit holds for all stores in S3 together" },
  },
  {
    guard: "what is limited saves nothing up",
    file: "core/stores/bandwidth.ts",
    find: "freeAt < now - lateness || ",
    replace: "",
    test: {
      file: "test/core/stores/bandwidth.test.ts",
      name: "what was saved while nothing was sent is not spent at once",
    },
  },
  {
    guard: "an introduction whose answer got lost is not taken for a new one",
    file: "shipper/enrol.ts",
    find: 'return assumed ? "unclear" : "new";',
    replace: 'return assumed ? "new" : "new";',
    test: {
      file: "test/e2e/s3.test.ts",
      name: "a bucket is not said to have been emptied where the answer to an introduction got lost",
    },
  },
  {
    guard: "a store that can not be asked is introduced to the host",
    file: "shipper/commands/run-stores.ts",
    find: 'if (known !== "unknown") continue;',
    replace: "if (known !== undefined) continue;",
    test: {
      file: "test/e2e/s3.test.ts",
      name: "introduces the host to a bucket that was emptied, and uses no key that went with it",
    },
  },
  {
    guard: "keys are out of the way while nobody knows whether they count",
    file: "shipper/sealing-keys.ts",
    find: "const moved = ifThere(() => files.renameSync(path, aside));",
    replace: "const moved = false;",
    test: { file: aside, name: "are not used any more when the program is killed before it is known" },
  },
  {
    guard: "keys that nobody can tell of are forgotten",
    file: "shipper/sealing-keys.ts",
    find: 'known = error.code === "STORE_FORBIDDEN" && !error.retryable;',
    replace: "known = !error.retryable;",
    test: { file: aside, name: "go where nobody can tell: %s, retryable %s" },
  },
  {
    guard: "keys that were set aside long ago do not come back",
    file: "shipper/sealing-keys.ts",
    find: "if (moved && known) files.renameSync(aside, path);",
    replace: "if (known) ifThere(() => files.renameSync(aside, path));",
    test: { file: aside, name: "never come back for a store that was new, killed before or after any call" },
  },
];
