import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { scratchDirectory } from "../fixtures/scratch.ts";
import { synthesize, type Template } from "./synthesized.ts";

/** cfn-lint (Python) knows what CloudFormation takes. Where it is not installed, nobody is asked. */
const lintIsHere = (() => {
  try {
    execFileSync("cfn-lint", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
})();

/** W3005: the CDK names a dependency that a reference says already. */
const accepted = ["W3005"];

/** What cfn-lint has to say, one line for each complaint. */
function complaintsOf(templates: Readonly<Record<string, Template>>): readonly string[] {
  const directory = scratchDirectory();
  const files = Object.entries(templates).map(([name, template]) => {
    const file = join(directory, `${name}.template.json`);
    writeFileSync(file, JSON.stringify(template));
    return file;
  });
  const regions = ["--regions", "eu-central-1"];
  const words = ["--format", "parseable", "--ignore-checks", ...accepted, ...regions, "--template", ...files];
  const lines = (text: string) => text.split("\n").filter((line) => line !== "");
  try {
    return lines(execFileSync("cfn-lint", words, { encoding: "utf8", stdio: "pipe" }));
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    return lines(stdout + stderr);
  }
}

describe.runIf(lintIsHere)("CloudFormation, as cfn-lint knows it,", () => {
  test("takes the templates, with a lock and a copy in another region as well", () => {
    const templates = synthesize({ objectLock: { mode: "compliance", days: 30 }, replicaRegion: "eu-west-1" });
    expect(Object.keys(templates)).toHaveLength(3);
    expect(complaintsOf(templates)).toEqual([]);
    expect(complaintsOf(synthesize())).toEqual([]);
  });

  test("does not take a property that is misspelled", () => {
    const templates = { wrong: { Resources: { Wares: { Type: "AWS::S3::Bucket", Properties: { BuketName: "a" } } } } };
    expect(complaintsOf(templates).join()).toContain("BuketName");
  });
});
