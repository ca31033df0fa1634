import { exitCodes } from "../../core/errors.ts";
import { readConfig, readSigner } from "../config.ts";
import { enrol as introduce } from "../enrol.ts";
import type { CommandContext, Outcome } from "./command.ts";

/** Introduces this host to the store of its configuration: for a store that is new. */
export async function enrol({ composition, configPath, signal }: CommandContext): Promise<Outcome> {
  const { files, clock } = composition;
  const { host, store, recovery, drill, ...rest } = readConfig(files, configPath);
  const signer = readSigner(files, { host, store, recovery, ...rest });
  const createdAt = new Date(clock.now()).toISOString();
  const introduction = {
    hostId: host.id,
    name: host.name,
    createdAt,
    recoveryRecipient: recovery,
    drillRecipient: drill,
  };
  const isNew = await introduce(composition.openStore(store), signer, introduction, signal);
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
