import { readdirSync, readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { documentOf } from "../../../../sandbox/cloud/services/ssm/document.ts";
import type { Json } from "../../../../sandbox/cloud/template/assembly.ts";
import { resolveStacks } from "../../../../sandbox/cloud/template/stack.ts";
import { account, region, synthesizedStacks } from "../../../fixtures/synthesized-account.ts";
import { neighbours } from "./ssm-neighbours.ts";
import { refusal, type SsmPlace, ssmPlace } from "./ssm-place.ts";

let place: SsmPlace;

beforeAll(async () => {
  place = await ssmPlace([...synthesizedStacks(), neighbours()]);
}, 120_000);
afterAll(() => place?.close());

const second = 1000;
const minute = 60 * second;

const attacks = [
  "$(touch x)",
  "`touch x`",
  "'; touch x; '",
  '"; touch x; "',
  "a\ntouch x",
  "mail; touch x",
  "* {{ x }} $HOME",
];

describe("the synthesized backup document", () => {
  const recorder = 'printf "%s\\n" "$MAILARK_BASE" "$MAILARK_REQUEST" "$@" > "$PLACE/told"; echo report';
  const backup = (to: Parameters<SsmPlace["send"]>[2], parameters?: Record<string, string>) =>
    place.send(place.dispatcher(), "mailark-backup", to, parameters);

  test("hands its values to the program, and the program's report to who asks", async () => {
    const host = place.machine({ programs: { mailark: recorder } });
    const Base = "mail=20261121T020000.000Z-k3m9x2qa7b";
    const id = await backup([host], { Components: "mail mysql", Base, RequestId: "r-1" });
    const outcome = await place.outcome(id, host);
    expect(outcome).toMatchObject({ Status: "Success", ResponseCode: 0, PluginName: "backup" });
    expect(outcome.StandardOutputContent).toBe("report\n");
    const told = readFileSync(join(host.directory, "told"), "utf8").split("\n");
    expect(told).toEqual([Base, "r-1", "backup", "--configured", "mail", "mysql", ""]);
  });

  test("gives the program the home of its user, which an agent does not have", async () => {
    const host = place.machine({ programs: { mailark: 'echo "$HOME"' } });
    expect((await place.outcome(await backup([host]), host)).StandardOutputContent).toBe(`${userInfo().homedir}\n`);
  });

  test("takes its defaults for values that are not given", async () => {
    const host = place.machine({ programs: { mailark: recorder } });
    await place.outcome(await backup([host]), host);
    expect(readFileSync(join(host.directory, "told"), "utf8").split("\n")).toEqual([
      "",
      "",
      "backup",
      "--configured",
      "",
    ]);
  });

  test.each(attacks)("is not run with %j for its components", async (Components) => {
    const host = place.machine({ programs: { mailark: recorder } });
    expect(await refusal(backup([host], { Components }))).toBe("InvalidParameters");
  });

  test("fails with the exit status of the program, and shows what it said", async () => {
    const host = place.machine({ programs: { mailark: "echo the disk is full; exit 3" } });
    const outcome = await place.outcome(await backup([host]), host);
    expect(outcome).toMatchObject({ Status: "Failed", StatusDetails: "Failed", ResponseCode: 3 });
    expect(outcome.StandardOutputContent).toBe("the disk is full\n");
  });

  test("refuses on a machine whose agent does not know variables", async () => {
    const host = place.machine({ programs: { mailark: recorder }, agentVersion: "3.3.987.0" });
    const outcome = await place.outcome(await backup([host]), host);
    expect(outcome).toMatchObject({ Status: "Failed", ResponseCode: 2 });
    expect(outcome.StandardErrorContent).toContain("older than 3.3.2746");
    expect(readdirSync(host.directory)).toEqual(["mailark"]);
  });
});

describe("the value of a parameter", () => {
  test.each(attacks)("that is a variable is no text of the script: %j", async (Value) => {
    const host = place.machine();
    const outcome = await place.outcome(await place.send(place.operator(), "telling", [host], { Value }), host);
    expect(outcome.Status).toBe("Success");
    expect(readFileSync(join(host.directory, "told"), "utf8")).toBe(Value);
    expect(readdirSync(host.directory)).toEqual(["told"]);
  });

  test("is text of the script where the document has it so", async () => {
    const host = place.machine();
    const id = await place.send(place.operator(), "greeting", [host], { Name: "alice", Words: "echo goodbye" });
    const { StandardOutputContent } = await place.outcome(id, host);
    expect(StandardOutputContent).toBe("hello alice, glad\ngoodbye\n");
  });

  test.each<[string, Record<string, string>]>([
    ["a name that the document does not have", { Nobody: "x" }],
    ["a value that the pattern does not allow", { Name: "Alice" }],
    ["a value that is not one of those allowed", { Mood: "angry" }],
    ["a value that is too short", { Short: "a" }],
    ["a value that is too long", { Short: "abcd" }],
  ])("is refused: %s", async (_, parameters) => {
    expect(await refusal(place.send(place.operator(), "greeting", [place.machine()], parameters))).toBe(
      "InvalidParameters",
    );
  });

  test("is wanted where there is no default", async () => {
    expect(await refusal(place.send(place.operator(), "telling", [place.machine()]))).toBe("InvalidParameters");
  });

  test("is one, unless it is of a list", async () => {
    const more = { Parameters: { Name: ["alice", "bob"] } };
    expect(await refusal(place.send(place.operator(), "greeting", [place.machine()], {}, more))).toBe(
      "InvalidParameters",
    );
  });
});

describe("a step", () => {
  const shell = (to: Parameters<SsmPlace["send"]>[2], Line: string) =>
    place.send(place.operator(), "shell", to, { Line });

  test("runs where the document says, and the next one in spite of its failure", async () => {
    const host = place.machine();
    const id = await place.send(place.operator(), "several", [host], { Status: "4" });
    expect(await place.outcome(id, host, "first")).toMatchObject({ ResponseCode: 4, StandardOutputContent: "/tmp\n" });
    expect(await place.outcome(id, host, "second")).toMatchObject({
      Status: "Success",
      StandardOutputContent: "second\n",
    });
    expect((await place.commandOf(id)).Status).toBe("Failed");
  });

  test("is passed over on another platform than its own", async () => {
    const host = place.machine();
    const id = await place.send(place.operator(), "several", [host]);
    expect(await place.outcome(id, host, "elsewhere")).toMatchObject({ Status: "Success", StandardOutputContent: "" });
  });

  test("is not run behind one whose failure ends the document", async () => {
    const host = place.machine();
    const id = await place.send(place.operator(), "careful", [host]);
    expect(await place.outcome(id, host, "second")).toMatchObject({ StandardOutputContent: "" });
    expect((await place.commandOf(id)).Status).toBe("Failed");
  });

  test.each([
    [168, "Success"],
    [169, "Failed"],
  ])("that ends with %i ends the document: %s", async (Status, status) => {
    const host = place.machine();
    const id = await place.send(place.operator(), "several", [host], { Status: String(Status) });
    expect(await place.outcome(id, host, "second")).toMatchObject({ StandardOutputContent: "" });
    expect((await place.commandOf(id)).Status).toBe(status);
  });

  test("has the first 24,000 characters of what it prints, and 8,000 of its errors", async () => {
    const host = place.machine();
    const id = await shell([host], "yes é | head -n 20000; yes | head -n 10000 >&2");
    const { StandardOutputContent, StandardErrorContent } = await place.outcome(id, host);
    expect(StandardOutputContent).toHaveLength(24_000);
    expect(StandardOutputContent).toMatch(/^(é\n)+--output truncated--$/);
    expect(StandardErrorContent).toHaveLength(8000);
    expect(StandardErrorContent).toMatch(/^(y\n)+--output truncated--$/);
  });

  test("has the machine's environment, and nothing of whoever runs the sandbox", async () => {
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", "of the developer");
    onTestFinished(() => void vi.unstubAllEnvs());
    const host = place.machine();
    const outcome = await place.outcome(await shell([host], "env"), host);
    const names = outcome.StandardOutputContent!.split("\n").map((line) => line.split("=")[0]);
    expect(outcome.StandardOutputContent).toContain(`SSM_COMMAND_ID=${outcome.CommandId}\n`);
    expect(names).toEqual(expect.arrayContaining(["PLACE", "SSM_Line", "AWS_ENDPOINT_URL", "AWS_SSM_INSTANCE_ID"]));
    expect(names).not.toContain("AWS_SECRET_ACCESS_KEY");
  });

  test("learns who it is from the metadata service, with a token only", async () => {
    const host = place.machine();
    const { AWS_EC2_METADATA_SERVICE_ENDPOINT: url } = await host.environment();
    const role = `${url}/latest/meta-data/iam/security-credentials/`;
    expect((await fetch(role)).status).toBe(401);
    const put = { method: "PUT", headers: { "x-aws-ec2-metadata-token-ttl-seconds": "60" } };
    const token = await (await fetch(`${url}/latest/api/token`, put)).text();
    const get = async (at: string) => (await fetch(at, { headers: { "x-aws-ec2-metadata-token": token } })).text();
    expect(await get(role)).toBe("mailark-host");
    expect(await get(`${url}/latest/meta-data/placement/region`)).toBe(region);
    expect(await get(`${url}/latest/meta-data/instance-id`)).toBe(host.instanceId);
    const { accessKeyId } = place.cloud.credential("mailark-host", host.instanceId);
    expect(JSON.parse(await get(`${role}mailark-host`))).toMatchObject({ Code: "Success", AccessKeyId: accessKeyId });
  });

  test("is ended with all that it started when its time is over", async () => {
    const host = place.machine({ patience: 500 });
    // What still could print would keep the outcome away.
    const id = await shell([host], 'echo begun; touch "$PLACE/begun"; sleep 1000 & sleep 1000');
    await vi.waitFor(() => expect(readdirSync(host.directory)).toContain("begun"), 10_000);
    await place.cloud.advance(61 * second);
    const outcome = await place.outcome(id, host);
    expect(outcome).toMatchObject({ Status: "TimedOut", StatusDetails: "ExecutionTimedOut", ResponseCode: 137 });
    expect(outcome.StandardOutputContent).toBe("begun\n");
    expect(outcome.ExecutionElapsedTime).toBe(`PT${minute / second}S`);
  });
});

describe("a document of a template", () => {
  const made = (Properties: Json) => {
    const template = { Resources: { Errand: { Type: "AWS::SSM::Document", Properties } } };
    const [stack] = resolveStacks([{ name: "shop", account, region, template }]);
    return documentOf(stack!.resources[0]!);
  };
  const step = { action: "aws:runShellScript", name: "go", inputs: { runCommand: ["true"] } };
  const content = { schemaVersion: "2.2", mainSteps: [step] };
  const parameter = (more: Record<string, Json>) => ({ ...content, parameters: { P: { type: "String", ...more } } });

  test("may be written as text", () => {
    const { name, steps } = made({ Name: "errand", DocumentType: "Command", Content: JSON.stringify(content) });
    expect([name, steps]).toEqual(["errand", [{ name: "go", lines: ["true"], timeoutSeconds: 3600 }]]);
  });

  test.each<[string, Json]>([
    ["a property", { DocumentType: "Command", Content: content, Attachments: [] }],
    ["a type", { DocumentType: "Automation", Content: content }],
    ["a schema", { DocumentType: "Command", Content: { ...content, schemaVersion: "1.2" } }],
    ["a member", { DocumentType: "Command", Content: { ...content, files: {} } }],
    [
      "an action",
      { DocumentType: "Command", Content: { ...content, mainSteps: [{ ...step, action: "aws:runDocument" }] } },
    ],
    [
      "an input",
      {
        DocumentType: "Command",
        Content: { ...content, mainSteps: [{ ...step, inputs: { runCommand: [""], x: 1 } }] },
      },
    ],
    ["a type of parameter", { DocumentType: "Command", Content: parameter({ type: "Boolean" }) }],
    ["a pattern without ends", { DocumentType: "Command", Content: parameter({ allowedPattern: "[a-z]+" }) }],
    [
      "a reference",
      {
        DocumentType: "Command",
        Content: { ...content, mainSteps: [{ ...step, inputs: { runCommand: ["{{ Q }}"] } }] },
      },
    ],
    [
      "the text of a variable",
      {
        DocumentType: "Command",
        Content: {
          ...parameter({ interpolationType: "ENV_VAR" }),
          mainSteps: [{ ...step, inputs: { runCommand: ["{{ P }}"] } }],
        },
      },
    ],
  ])("is refused for %s that is not understood", (_, properties) => {
    expect(() => made(properties)).toThrow(/^shop\.Errand: /);
  });
});
