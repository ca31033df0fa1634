import { treeComponent } from "../tree/tree-component.ts";
import { checkConfigs, checkersOf } from "./check.ts";
import type { ConfigsConfig } from "./config.ts";

/** Configuration files. @param config absent: to restore only. */
export const configsComponent = (config?: ConfigsConfig) =>
  treeComponent("configs", {
    command: [],
    stallSeconds: 300,
    ...config,
    readers: checkersOf,
    judge: checkConfigs,
    offers: (root, paths) => ({ configs: { root, paths } }),
  });
