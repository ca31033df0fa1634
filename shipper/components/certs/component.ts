import { treeComponent } from "../tree/tree-component.ts";
import { checkCertificates } from "./check.ts";
import type { CertsConfig } from "./config.ts";

/** Certificates with their keys. @param config absent: to restore only. */
export const certsComponent = (config?: CertsConfig) =>
  treeComponent("certs", {
    command: [],
    stallSeconds: 300,
    ...config,
    judge: checkCertificates,
    offers: (root) => ({ certs: { root } }),
  });
