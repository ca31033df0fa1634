import { asMailarkError, exitCodes, type MailarkError } from "../../core/errors.ts";
import { enrolmentKey } from "../../core/keys.ts";
import { approvalOf, approvalText } from "../approval.ts";
import { stateDirectory } from "../composition.ts";
import { readConfig, readSigner } from "../config.ts";
import { enrol as introduce, introductionOf } from "../enrol.ts";
import { type Acquaintance, forgetSealingKeys, withSealingKeysAside } from "../sealing-keys.ts";
import { storeIdentity } from "../store-url.ts";
import { isThere } from "../stores/run-store.ts";
import { errorDocument, errorText } from "../terminal/error-text.ts";
import type { CommandContext, Outcome } from "./command.ts";
import { openStore } from "./open-store.ts";

const saying: Readonly<Record<Acquaintance, string>> = {
  new: "knows this host now.",
  known: "knew this host already: nothing was written.",
  unclear: "knows this host; the answer that would have said since when got lost.",
};

/** Introduces this host to the stores of its configuration: for one that is new. One that fails does not stop the others. */
export async function enrol(context: CommandContext): Promise<Outcome> {
  const { composition, configPath, signal } = context;
  const { files, clock } = composition;
  const config = readConfig(files, configPath);
  const { host } = config;
  const signer = readSigner(files, config);
  const introduction = introductionOf(config, clock);
  const stores: { readonly url: string; readonly before?: Acquaintance; readonly error?: MailarkError }[] = [];
  for (const { url } of config.stores) {
    try {
      stores.push({ url, before: await enrolIn(url) });
    } catch (thrown) {
      signal.throwIfAborted();
      stores.push({ url, error: asMailarkError(thrown) });
    }
  }
  const errors = stores.flatMap(({ error }) => error ?? []);
  if (errors.length === stores.length) throw errors[0];
  const exitCode = errors.length > 0 ? exitCodes.partial : exitCodes.ok;
  const { fingerprint } = signer;
  const urls = config.stores.map(({ url }) => url);
  const approval = approvalOf(urls, { hostId: host.id, name: host.name, fingerprint });
  return {
    exitCode,
    text: [
      ...stores.map(({ url, before, error }) =>
        error ? `${storeIdentity(url)}: ${errorText(error).trimEnd()}` : `${storeIdentity(url)} ${saying[before!]}`,
      ),
      `host id      ${host.id}`,
      `fingerprint  ${fingerprint}`,
      "The fingerprint must be the one on the recovery sheet.",
      ...(approval ? ["", approvalText(approval)] : [""]),
    ].join("\n"),
    document: {
      command: "enrol",
      hostId: host.id,
      fingerprint,
      approval,
      stores: stores.map(({ url, before, error }) => ({
        store: storeIdentity(url),
        // Absent where nobody can tell.
        ...((before === "new" || before === "known") && { new: before === "new" }),
        error: error && errorDocument(error),
      })),
      exitCode,
    },
  };

  async function enrolIn(url: string): Promise<Acquaintance> {
    const place = openStore(context, url, config);
    // Before the introduction, without which there is no backup: so no backup finds the keys of the store that was here before.
    const known = await isThere(place, enrolmentKey(host.id, signer.keyId), signal);
    if (known === "absent") forgetSealingKeys(files, stateDirectory(config, url));
    const enrol = () => introduce(place, signer, introduction, signal);
    return known === "unknown" ? withSealingKeysAside(files, stateDirectory(config, url), enrol) : enrol();
  }
}
