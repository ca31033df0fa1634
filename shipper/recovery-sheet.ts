import { placeOf } from "./store-url.ts";
import { shellWord } from "./terminal/shell-word.ts";

/** What a restore needs to know when the host is gone. */
export interface RecoverySheet {
  readonly hostId: string;
  readonly name: string;
  readonly store: string;
  /** Each has the same. */
  readonly otherStores?: readonly string[];
  readonly recoveryRecipient: string;
  /** The private half; `undefined` where the operator brought a key of their own. */
  readonly recoveryKey: string | undefined;
  readonly fingerprint: string;
  readonly createdAt: string;
  readonly components: readonly string[];
}

/** How to bring back everything with mailark: the whole host at once, then each component into a directory. */
export function restoreCommands({ hostId, store, fingerprint, components }: RecoverySheet): string[] {
  const from = `--store ${shellWord(store)} --host ${hostId} --fingerprint ${fingerprint} --identity ${keyFile}`;
  const each = components.map((component) => `mailark restore ${component} ${from} --to ${component}`);
  return [`mailark restore --all ${from}`, ...each];
}

/** How to bring everything back with a shell, age, zstd, tar and jq: one command a component. */
export function breakGlassCommands({ hostId, store, components }: RecoverySheet, version: string): string[] {
  const directory = placeOf(store).directory ?? copyOfStore;
  const script = shellWord(`${directory}/hosts/${hostId}/break-glass/${version}/restore.sh`);
  return components.map(
    (component) => `sh ${script} ${shellWord(directory)} ${hostId} ${component} latest ${keyFile} ${component}`,
  );
}

/** The page that must survive the host. It is the only place where the recovery key ever stands. */
export function recoverySheet(sheet: RecoverySheet, breakGlass: string): string {
  const {
    hostId,
    name,
    store,
    otherStores = [],
    recoveryKey,
    recoveryRecipient,
    fingerprint,
    createdAt,
    components,
  } = sheet;
  const rule = "=".repeat(78);
  const shown = { ...sheet, components: [components.find((each) => each === "mail") ?? components[0]!] };
  const [all, one] = restoreCommands(shown);
  const [byHand] = breakGlassCommands(shown, breakGlass);
  const key =
    recoveryKey === undefined
      ? [
          "recovery key   the private half of",
          `               ${recoveryRecipient}`,
          "               which you have; it was not seen here",
        ]
      : ["recovery key   (private)", `  ${recoveryKey}`, "its public half", `  ${recoveryRecipient}`];
  return `${rule}
MAILARK RECOVERY SHEET                                       ${createdAt.slice(0, 10)}
${rule}
Put this on paper, away from the host. It is shown once and stored nowhere.
Without the recovery key nothing can be brought back, by anybody.

host           ${name}
host id        ${hostId}
${[store, ...otherStores].map((each) => `store          ${each}`).join("\n")}
${key.join("\n")}
fingerprint    of the key that signs this host's backups
  ${fingerprint}

components     ${components.join(" ")}

To restore, write the recovery key to a file ${keyFile}.
Everything, onto a new machine with the same packages:
  ${all}
One component into a new directory, the others likewise:
  ${one}
Without mailark, with sh, age, zstd, tar and jq, from a copy of the store:
  ${byHand}
${rule}
`;
}

/** A shell reads directories: what a bucket holds below its prefix is copied into one first. */
const copyOfStore = "/mnt/copy-of-the-store";
/** Where the sheet tells to put the recovery key. */
const keyFile = "recovery.key";
