import { exitCodes } from "../../core/errors.ts";
import { enrolmentKey } from "../../core/keys.ts";
import { stateDirectory } from "../composition.ts";
import { readConfig, readSigner } from "../config.ts";
import { enrol as introduce } from "../enrol.ts";
import { forgetSealingKeys } from "../sealing-keys.ts";
import type { CommandContext, Outcome } from "./command.ts";
import { openStore } from "./open-store.ts";

/** Introduces this host to the store of its configuration: for a store that is new. */
export async function enrol(context: CommandContext): Promise<Outcome> {
  const { composition, configPath, signal } = context;
  const { files, clock } = composition;
  const config = readConfig(files, configPath);
  const { host, store, recovery, drill } = config;
  const signer = readSigner(files, config);
  const createdAt = new Date(clock.now()).toISOString();
  const introduction = {
    hostId: host.id,
    name: host.name,
    createdAt,
    recoveryRecipient: recovery,
    drillRecipient: drill,
  };
  const place = openStore(context, store, config);
  // Before the introduction, without which there is no backup: so no backup finds the keys of the store that was here before.
  if ((await place.head(enrolmentKey(host.id, signer.keyId), { signal })) === undefined) {
    forgetSealingKeys(files, stateDirectory(config, config.store));
  }
  const isNew = await introduce(place, signer, introduction, signal);
  return {
    exitCode: exitCodes.ok,
    text: [
      isNew ? `${store} knows this host now.` : `${store} knew this host already: nothing was written.`,
      `host id      ${host.id}`,
      `fingerprint  ${signer.fingerprint}`,
      "The fingerprint must be the one on the recovery sheet.",
      "",
    ].join("\n"),
    document: {
      command: "enrol",
      hostId: host.id,
      store,
      fingerprint: signer.fingerprint,
      new: isNew,
      exitCode: exitCodes.ok,
    },
  };
}
