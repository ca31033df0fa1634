import { describe, expect, test } from "vitest";
import type { Json } from "../../../../sandbox/cloud/template/assembly.ts";
import { shop } from "../../../fixtures/one-function.ts";
import { accountId, region } from "../../../fixtures/small-cloud.ts";

describe("a log", () => {
  const emf = {
    service: "shop",
    Sold: [2, 3],
    _aws: {
      Timestamp: 1,
      CloudWatchMetrics: [
        { Namespace: "wares", Dimensions: [["service"]], Metrics: [{ Name: "Sold", Unit: "Count" }] },
      ],
    },
  };
  const code = `exports.handler = async () => { process.stdout.write(${JSON.stringify(JSON.stringify(emf))} + "\\n"); console.error("two\\nlines"); process.stderr.write("no end") }`;

  test("keeps each line, and measures those in the embedded metric format", async () => {
    const { result, log, measured } = await shop({ code });
    await result();
    const lines = (await log()).filter((line) => !/^(START|END|REPORT) /.test(line));
    expect(lines).toHaveLength(3);
    const each = [expect.stringMatching(/\tERROR\ttwo\rlines$/), "no end", JSON.stringify(emf)];
    expect(lines).toEqual(expect.arrayContaining(each));
    const datum = { namespace: "wares", name: "Sold", dimensions: { service: "shop" } };
    expect(measured.filter(({ namespace }) => namespace === "wares")).toEqual([
      { ...datum, value: 2 },
      { ...datum, value: 3 },
    ]);
  });

  test.each<[string, Json]>([
    ["write it", { Effect: "Allow", Action: "logs:CreateLogStream", Resource: "*" }],
    ["begin it", { Effect: "Allow", Action: "logs:PutLogEvents", Resource: "*" }],
    [
      "write this one",
      {
        Effect: "Allow",
        Action: "logs:*",
        Resource: `arn:aws:logs:${region}:${accountId}:log-group:/aws/lambda/other:*`,
      },
    ],
  ])("is lost, metrics and all, where the function's role may not %s; the function runs", async (_, policy) => {
    const { result, log, measured, notes } = await shop({ code, may: [policy] });
    expect((await result()).failed).toBe(false);
    expect(await log()).toEqual([]);
    expect(measured.filter(({ namespace }) => namespace === "wares")).toEqual([]);
    expect(notes).toContainEqual(expect.stringMatching(/^lambda: the log of shop is lost: shop\/shop may not logs:/));
  });

  test("forgets what is older than it is to be kept", async () => {
    const { result, log, cloud } = await shop({ code });
    await result();
    await cloud.advance(7 * 86_400_000 - 1);
    expect(await log()).not.toEqual([]);
    await cloud.advance(1);
    expect(await log()).toEqual([]);
  });
});
