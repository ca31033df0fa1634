// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the text of the product is quoted as it is
import type { Guard } from "./guard.ts";

const config = "test/shipper/config.test.ts";
const program = "test/shipper/program.test.ts";
const circle = "test/shipper/commands/circle.test.ts";
const init = "test/shipper/commands/init.test.ts";
const surveyed = "test/shipper/survey/survey.test.ts";
const backup = "test/shipper/commands/backup.test.ts";

/** Configuration and command line: bad input changes nothing, secrets are not repeated, and the exit status tells the truth. */
export const programGuards: readonly Guard[] = [
  {
    guard: "a backup's priority is never raised",
    file: "shipper/main.ts",
    find: "if (getPriority() < backgroundPriority) ",
    replace: "",
    test: { file: program, name: "a backup %s" },
  },
  {
    guard: "a hang-up does not end what nobody watches",
    file: "shipper/main.ts",
    find: 'if (signal === "SIGHUP" && unattended) return;',
    replace: "",
    test: { file: program, name: "a backup that nobody watches, as under nohup, goes on when a terminal hangs up" },
  },
  {
    guard: "an unknown key of the configuration is refused",
    file: "shipper/config.ts",
    find: "export const configSchema = z.strictObject({",
    replace: "export const configSchema = z.object({",
    test: { file: config, name: "a key that is like no other" },
  },
  {
    guard: "an unknown component is refused",
    file: "shipper/config.ts",
    find: ".strictObject({\n      mail: mailConfig.optional(),",
    replace: ".looseObject({\n      mail: mailConfig.optional(),",
    test: { file: config, name: "a component that there is none of" },
  },
  {
    guard: "a signing key that others can read is refused",
    file: "shipper/config.ts",
    find: 'refuseUnlessPrivate(files, path, "the signing key");',
    replace: "",
    test: {
      file: config,
      name: "a password file or a signing key that others can read is refused, with the command that mends it",
    },
  },
  {
    guard: "a password file that others can read is refused",
    file: "shipper/config.ts",
    find: 'if (passwordFile !== undefined) refuseUnlessPrivate(files, passwordFile, "the database\'s password file");',
    replace: "",
    test: {
      file: config,
      name: "a password file or a signing key that others can read is refused, with the command that mends it",
    },
  },
  {
    guard: "a configuration that others can change is refused",
    file: "shipper/config.ts",
    find: "if (mode & 0o022) {",
    replace: "if (mode < 0) {",
    test: { file: config, name: "a configuration that others can change is refused, with the command that mends it" },
  },
  {
    guard: "a bomb of aliases is not unpacked",
    file: "shipper/config-text.ts",
    find: "throw invalid([`${at(range?.[0] ?? 0)}: an alias can not stand for a value here",
    replace: "if (!range) throw invalid([`${at(range?.[0] ?? 0)}: an alias can not stand for a value here",
    test: { file: config, name: "a bomb of aliases is refused, not unpacked" },
  },
  {
    guard: "a password in the configuration is not repeated",
    file: "shipper/config-text.ts",
    find: "if (secret || /AGE-SECRET-KEY|PRIVATE KEY|:\\/\\/[^/]*@/i.test(text_))",
    replace: "if (text_ === undefined)",
    test: { file: config, name: "no secret is ever repeated" },
  },
  {
    guard: "the parser's words do not repeat a secret",
    file: "shipper/config-text.ts",
    find: '.replace(/["\'].*["\']/s, "…")',
    replace: "",
    test: { file: config, name: "no secret is ever repeated" },
  },
  {
    guard: "a mail root is absolute",
    file: "shipper/components/mail/config.ts",
    find: 'root: z.string().startsWith("/", "must be an absolute path"),',
    replace: "root: z.string(),",
    test: { file: config, name: "a relative path" },
  },

  {
    guard: "no private key is repeated in an error",
    file: "shipper/program.ts",
    find: 'text.replace(/AGE-SECRET-KEY-[A-Z0-9]{16,}/gi, "AGE-SECRET-KEY-…")',
    replace: "text",
    test: { file: program, name: "no private key stands in any output but the one sheet, not even with --debug" },
  },
  {
    guard: "no private key is repeated in a document",
    file: "shipper/program.ts",
    find: "? [withoutKeys(stdout), ",
    replace: "? [stdout, ",
    test: { file: program, name: "no private key stands in any output but the one sheet, not even with --debug" },
  },
  {
    guard: "a private key on the command line is told as such",
    file: "shipper/commands/identity.ts",
    find: "if (/AGE-SECRET-KEY-/i.test(given)) {",
    replace: 'if (given === "") {',
    test: { file: circle, name: "without an identity, with a wrong one, and with a key on the command line" },
  },
  {
    guard: "a private key in the place of a public one is refused",
    file: "core/age/x25519.ts",
    find: "if (decoded?.prefix !== recipientPrefix || decoded.bytes.length !== keyBytes) return undefined;",
    replace: "if (decoded?.bytes.length !== keyBytes) return undefined;",
    test: { file: "test/core/age/age.test.ts", name: "refuse %s as a recipient" },
  },
  {
    guard: "a recovery key that others can read is warned of",
    file: "shipper/commands/identity.ts",
    find: "if (mode & 0o077) {",
    replace: "if (mode < 0) {",
    test: {
      file: circle,
      name: "an identity file that others can read is warned of, and one from standard input needs no file",
    },
  },
  {
    guard: "a terminal obeys no name",
    file: "shipper/terminal/printable.ts",
    find: "return text.replace(unprintable, (character) => {",
    replace: 'return text.replace("", (character) => {\n    if (!character) return character;',
    test: { file: "test/shipper/terminal/printable.test.ts", name: "no text at all gets a control character through" },
  },
  {
    guard: "an interrupted program ends with 130",
    file: "core/errors.ts",
    find: "INTERRUPTED: exitCodes.interrupted,",
    replace: "INTERRUPTED: exitCodes.failed,",
    test: { file: program, name: "%s ends a backup with 130, its tools too, and leaves no manifest" },
  },
  {
    guard: "a result that nobody took is no success",
    file: "shipper/program.ts",
    find: 'throw new MailarkError("FILE_FAILED", "the result could not be written to standard output", { cause });',
    replace: "",
    test: { file: program, name: "a result that could not be written is a failure" },
  },
  {
    guard: "a store that nothing proves is warned of",
    file: "shipper/commands/source.ts",
    find: "if (pinned) return;",
    replace: "return;",
    test: {
      file: "test/shipper/commands/verify.test.ts",
      name: "a store that a stranger wrote under the host's name is not believed by the host that knows its own key",
    },
  },
  {
    guard: "a place that is not there is not an empty store",
    file: "shipper/commands/source.ts",
    find: "if (store.exists()) return store;",
    replace: "if (store) return store;",
    test: { file: circle, name: "a store that is not there" },
  },
  {
    guard: "an empty place under a mount point is not backed up to",
    file: "shipper/commands/backup.ts",
    find: "{ signal })) === undefined) throw strange(config);",
    replace: "{ signal })) === null) throw strange(config);",
    test: { file: backup, name: "an empty place under a mount point is not taken for the store" },
  },
  {
    guard: "a restore that does not fit is not begun",
    file: "shipper/commands/restore.ts",
    find: "if (freeBytes !== undefined && freeBytes < needed) {",
    replace: "if (needed < 0) {",
    test: { file: circle, name: "a target without room" },
  },
  {
    guard: "a partial snapshot is told when it is restored",
    file: "shipper/commands/chosen-snapshot.ts",
    find: 'if (manifest.completeness === "partial") {',
    replace: "if (manifest.completeness === undefined) {",
    test: { file: circle, name: "a partial snapshot is restored with a warning" },
  },
  {
    guard: "a target that holds something is refused before the store is read",
    file: "shipper/commands/restore.ts",
    find: 'if (place.kind === "directory") refuseUnlessEmpty(composition.files, place.path);',
    replace: "",
    test: { file: circle, name: "a target that holds something, and touches nothing" },
  },
  {
    guard: "a restore that failed its checks is no success",
    file: "shipper/commands/restore.ts",
    find: "const exitCode = failed ? exitCodes.verification : exitCodes.ok;",
    replace: "const exitCode = exitCodes.ok;",
    test: { file: circle, name: "a restore that is not what was captured says so, and its exit status too" },
  },
  {
    guard: "checks that failed fail a restore",
    file: "shipper/restore/restore.ts",
    find: 'failed: checks.some(({ outcome }) => outcome === "failed")',
    replace: "failed: false",
    test: { file: circle, name: "a restore that is not what was captured says so, and its exit status too" },
  },
  {
    guard: "what a restore started is ended",
    file: "shipper/restore/restore.ts",
    find: "await staged.remove();",
    replace: "",
    test: {
      file: "test/shipper/components/mail/naming.test.ts",
      name: "a restore leaves what it brought back, and ends what it started",
    },
  },
  {
    guard: "the recovery key is not written into a log unasked",
    file: "shipper/commands/init.ts",
    find: "refuseToSpillTheKey(context, options);",
    replace: "",
    test: { file: init, name: "without a terminal the recovery key is printed only when that is wanted" },
  },
  {
    guard: "a host that is configured is not configured again",
    file: "shipper/commands/init.ts",
    find: "if (files.lstatSync(path, { throwIfNoEntry: false }) === undefined) return;",
    replace: "if (path) return;",
    test: { file: init, name: "a host that is configured already is refused, and everything stays as it was" },
  },
  {
    guard: "no host backs up for nobody",
    file: "shipper/commands/init.ts",
    find: "revoke: () => files.unlinkSync(configPath),",
    replace: "revoke: () => {},",
    test: { file: init, name: "a sheet that could not be printed leaves no host that backs up for nobody" },
  },
  {
    guard: "a place that was named is captured, or refused",
    file: "shipper/commands/init.ts",
    find: "refuseStrayPlaces(names, told);",
    replace: "",
    test: { file: surveyed, name: "refuses the place of what it leaves out" },
  },
  {
    guard: "what was found on a host can not leave its comment in the configuration",
    file: "shipper/config-template.ts",
    find: '.replace(/[\\r\\v\\f\\u0085\\u2028\\u2029]/g, "\\n")',
    replace: "",
    test: { file: surveyed, name: "keeps what was found elsewhere in its comments, whatever it is" },
  },
  {
    guard: "a server that lets nobody in is no configured component",
    file: "shipper/survey/find-redis.ts",
    find: "return /NOAUTH|WRONGPASS|NOPERM/.test(detail)",
    replace: 'return /NOAUTH|WRONGPASS|NOPERM/.test(detail) ? "open" : detail === "?"',
    test: { file: surveyed, name: "a server that asks for a password is an example with a password file, and is told" },
  },
];
