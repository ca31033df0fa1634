import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";

/** Bytes of the room for young objects after a stream of them, of which some live on for a while. */
const roomAfter = (first: string) =>
  Number(
    execFileSync(process.execPath, ["--input-type=module", "-e", `${first}; ${stream}`], {
      cwd: import.meta.dirname,
      encoding: "utf8",
    }),
  );
const stream = `
  import { getHeapSpaceStatistics } from "node:v8";
  const alive = [];
  for (let made = 0; made < 3_000_000; made += 1) alive[made % 100_000] = { made };
  console.log(getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space").space_size);
`;

test("a heap that is kept small does not enlarge its room for young objects, as it would", () => {
  const small = roomAfter(`import { keepHeapSmall } from "../../shipper/small-heap.ts"; keepHeapSmall()`);
  const usual = roomAfter("");
  expect(usual).toBeGreaterThan(8 * small);
});
