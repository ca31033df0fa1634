import { expect, test } from "vitest";
import { nodeFiles } from "../../core/ports/files.ts";
import { stepBack } from "../../shipper/background.ts";
import { nodeProcesses } from "../../shipper/processes.ts";
import { errnoError } from "../fixtures/faults.ts";

test("threads that can not be listed are told of, and no reason not to back up", async () => {
  const told: string[] = [];
  const readdirSync = (() => {
    throw errnoError("EACCES", "scandir");
  }) as unknown as typeof nodeFiles.readdirSync;
  const machine = { files: { ...nodeFiles, readdirSync }, processes: nodeProcesses };
  await stepBack(machine, { nice: 10, disk: "low" }, (message) => told.push(message));
  expect(told).toEqual([expect.stringMatching(/^the priority stays as it was: .*EACCES/)]);
});
