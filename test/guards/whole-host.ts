// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the text of the product is quoted as it is
import type { Guard } from "./guard.ts";

const wholeHost = "test/shipper/drill/whole-host.test.ts";
const usual = "test/shipper/drill/whole-host/usual-layout.test.ts";
const settings = "test/shipper/drill/whole-host/settings.test.ts";
const drill = "test/shipper/drill/drill.test.ts";
const strict = "without a mailbox named, and under a umask of 077, takes one that signs, and leaves its password open";
const folder = "shipper/drill/whole-host";

/** The check of a whole host: nothing live is touched, nothing leaves, nothing stays, and what is broken is red. */
export const wholeHostGuards: readonly Guard[] = [
  {
    guard: "mail for another host is not accepted by the staged Postfix",
    file: `${folder}/private-postfix.ts`,
    find: 'smtpd_relay_restrictions: "reject_unauth_destination"',
    replace: 'smtpd_relay_restrictions: "permit_mynetworks, reject"',
    test: { file: wholeHost, name: "not even where the system gives no network of its own" },
  },
  {
    guard: "mail that an alias sends to another host is not delivered",
    file: `${folder}/private-postfix.ts`,
    find: "default_transport: closed,",
    replace: 'default_transport: "discard:",',
    test: { file: wholeHost, name: "mail that an alias sends to another host stays here" },
  },
  {
    guard: "the servers have no network where the system can take it from them",
    file: `${folder}/isolation.ts`,
    find: '"unshare", "--net", "--mount"',
    replace: '"unshare", "--mount"',
    test: { file: wholeHost, name: "mail that an alias sends to another host stays here" },
  },
  {
    guard: "a mailbox that is not where mail was staged is not delivered to",
    file: `${folder}/account.ts`,
    find: "if (ground.isStagedMail(place)) return",
    replace: "if (place !== undefined) return",
    test: { file: wholeHost, name: "a mailbox that the database says is on the live host is the staged one" },
  },
  {
    guard: "an absolute link among the staged files does not lead to the live file",
    file: `${folder}/configuration-copy.ts`,
    find: "if (stat?.isSymbolicLink()) {",
    replace: "if (stat === null) {",
    test: {
      file: usual,
      name: "is proven without its certificates, filters, blacklists and the host that it relays to",
    },
  },
  {
    guard: "a plugin of Dovecot's that reaches out is not loaded",
    file: `${folder}/dovecot-settings.ts`,
    find: ".filter((plugin) => storagePlugins.has(plugin))",
    replace: "",
    test: { file: settings, name: "that say who has a mailbox and where are taken over, and none that reach out" },
  },
  {
    guard: "a password that anybody may make up is no proof",
    file: `${folder}/account.ts`,
    find: "if (wrong !== undefined)",
    replace: "if (wrong === null)",
    test: { file: wholeHost, name: "a password that anybody may make up" },
  },
  {
    guard: "a signature with another key than the published one is no proof",
    file: `${folder}/judge-signature.ts`,
    find: "key?.published !== undefined && key.published !== key.record",
    replace: "key === null",
    test: { file: wholeHost, name: "another key than the one that was published" },
  },
  {
    guard: "a signature is compared with the body that came",
    file: `${folder}/dkim-signature.ts`,
    find: 'if (sha256(canonicalBody).toString("base64") !== tags.get("bh"))',
    replace: "if (tags.size === 0)",
    test: { file: "test/shipper/drill/whole-host/dkim-signature.test.ts", name: "does not hold when %s changes" },
  },
  {
    guard: "a database that was not staged is not asked where it is live",
    file: `${folder}/account.ts`,
    find: "if (stage.unstaged.length > 0)",
    replace: "if (stage.unstaged.length < 0)",
    test: { file: wholeHost, name: "no database" },
  },
  {
    guard: "a disk that is full is not taken for a bad backup",
    file: "shipper/drill/drill.ts",
    find: 'isOfSurroundings(thrown) ? "unproven"',
    replace: 'isOfSurroundings(undefined) ? "unproven"',
    test: { file: drill, name: "where %s, that is not taken for the other" },
  },
  {
    guard: "a server that does not start with what was restored is not taken for a fault of the machine",
    file: "shipper/components/shelter.ts",
    find: "reads ? MailarkError : ScratchFailure",
    replace: "ScratchFailure",
    test: { file: drill, name: "where %s, that is not taken for the other" },
  },
  {
    guard: "a drill begins only where its servers can pass",
    file: "shipper/drill/drill.ts",
    find: "if (process.getuid?.() === 0) await refuseUnlessOpen(path, world);",
    replace: "",
    test: {
      file: drill,
      name: "a directory that the servers can not pass into is refused before anything is staged",
    },
  },
  {
    guard: "what a drill could not remove is told",
    file: "shipper/drill/drill.ts",
    find: "[...judged, ...(await removeAll())]",
    replace: "judged",
    test: { file: drill, name: "what could not be removed is told" },
  },
  {
    guard: "servers of a drill pass into their directories under any umask",
    file: `${folder}/ground.ts`,
    find: "        files.chmodSync(at, 0o755);\n",
    replace: "",
    test: { file: wholeHost, name: strict },
  },
  {
    guard: "servers of a drill pass into the copy of the configuration under any umask",
    file: `${folder}/configuration-copy.ts`,
    find: "    files.chmodSync(bytePath(folder), 0o711);\n",
    replace: "",
    test: { file: wholeHost, name: strict },
  },
];
