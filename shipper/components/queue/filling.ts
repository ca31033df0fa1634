import { MailarkError } from "../../../core/errors.ts";
import { outputOf } from "../../processes.ts";
import type { Filling } from "../component.ts";
import { hashesBelow } from "./check.ts";
import type { QueueConfig } from "./config.ts";
import { readIndex } from "./index-rows.ts";
import { deliverableQueues, heldMaildrop, logQueues, restingQueues } from "./layout.ts";
import { commandOf } from "./programs.ts";
import { emptyService, stoppedService } from "./service.ts";

/** What tells a restore that was killed from a queue in use: it left only what the snapshot holds, and all of that on hold. */
export function fillingOf(config: QueueConfig): Filling {
  return {
    async refuseUnlessEmpty(world) {
      await emptyService(config, world);
    },
    async takeBack(snapshot, world) {
      const { directory } = await stoppedService(config, world);
      const { messages, logs } = await readIndex(snapshot);
      const own = new Set([...messages, ...logs].map(({ sha256 }) => sha256));
      const found = [...(await hashesBelow(directory, config.command, world))];
      const isIn = (path: string, queues: readonly string[]) => queues.includes(path.split("/")[0]!);
      const held = ["hold", heldMaildrop];
      const foreign = found.find(
        ([path, sha256]) => isIn(path, [...deliverableQueues, ...held]) && !(isIn(path, held) && own.has(sha256)),
      );
      if (foreign !== undefined) {
        throw new MailarkError("TARGET_NOT_EMPTY", "the queue holds messages that the snapshot does not", {
          detail: foreign[0],
          hint: "let Postfix deliver them first, or restore into a directory",
        });
      }
      const left = found.filter(
        ([path, sha256]) => isIn(path, [...held, ...logQueues, ...restingQueues]) && own.has(sha256),
      );
      const input = Buffer.from(left.map(([path]) => `${directory}/${path}\0`).join(""), "latin1");
      const words = commandOf(config, ["xargs", "-0", "rm", "-f", "--"]);
      await outputOf(world.processes, words, { input, signal: world.signal });
      await emptyService(config, world);
    },
  };
}
