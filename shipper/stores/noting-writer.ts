import { addressOfManifest, isRunKey } from "../../core/keys.ts";
import type { FanOut } from "../../core/stores/fan-out.ts";
import type { ObjectWriter } from "../../core/stores/store.ts";
import type { Backlog } from "./backlog.ts";

/** Writes to all stores, and notes of every snapshot and every record of a run who lacks it. */
export function notingWriter(all: FanOut, backlog: Backlog): ObjectWriter {
  return {
    async put(key, body, options) {
      if (addressOfManifest(key) === undefined && !isRunKey(key)) return all.put(key, body, options);
      backlog.begin(key);
      const receipt = await all.put(key, body, options);
      backlog.confirm(key, all.within());
      return receipt;
    },
  };
}
