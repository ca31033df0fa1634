import {
  CreateDocumentCommand,
  GetCommandInvocationCommand,
  GetParameterCommand,
  ListCommandsCommand,
  PutParameterCommand,
  SendCommandCommand,
  SSMClient,
} from "@aws-sdk/client-ssm";
import { afterAll, beforeAll, describe, test } from "vitest";
import { expectAgreement, type Moto, motoIsHere, startMoto } from "../../../fixtures/moto.ts";
import { neighbours } from "./ssm-neighbours.ts";
import { type SsmPlace, ssmPlace } from "./ssm-place.ts";

const instanceId = "i-0123456789abcdef0";
const Parameters = { Line: ["true"] };

/** The members of a call's answer that two servers can agree on; of a failure its name. */
async function said<T extends object>(call: Promise<T>, ...fields: (keyof T)[]): Promise<unknown> {
  try {
    const answer = await call;
    return Object.fromEntries(fields.map((field) => [field, answer[field]]));
  } catch (error) {
    return (error as Error).name;
  }
}

const send = async (ssm: SSMClient, more: object = {}) =>
  (await ssm.send(new SendCommandCommand({ DocumentName: "shell", InstanceIds: [instanceId], Parameters, ...more })))
    .Command!;

const scenarios: Record<string, (ssm: SSMClient) => Promise<unknown>> = {
  "a command as it was sent": (ssm) =>
    said(
      send(ssm, { Comment: "by hand", TimeoutSeconds: 600, MaxConcurrency: "2", MaxErrors: "1" }),
      ...(["DocumentName", "Parameters", "InstanceIds", "Targets", "Comment", "TimeoutSeconds"] as const),
      ...(["MaxConcurrency", "MaxErrors", "OutputS3BucketName", "OutputS3KeyPrefix", "ServiceRole"] as const),
    ),
  "the status of a command that was just sent": async (ssm) => said(send(ssm), "Status", "CompletedCount"),
  "a command that is listed": async (ssm) => {
    const { CommandId } = await send(ssm);
    const { Commands } = await ssm.send(new ListCommandsCommand({ CommandId }));
    return Commands!.map((each) => [each.CommandId === CommandId, each.DocumentName, each.TargetCount]);
  },
  "a command that nobody sent": (ssm) => said(ssm.send(new ListCommandsCommand({ CommandId: "0".repeat(36) }))),
  "what came of it": async (ssm) => {
    const { CommandId } = await send(ssm);
    await settle();
    const asked = new GetCommandInvocationCommand({ CommandId, InstanceId: instanceId });
    return said(
      ssm.send(asked),
      "InstanceId",
      "DocumentName",
      "Status",
      "StatusDetails",
      "ResponseCode",
      "StandardOutputContent",
    );
  },
  "the name of the step in what came of it": async (ssm) => {
    const { CommandId } = await send(ssm);
    return said(ssm.send(new GetCommandInvocationCommand({ CommandId, InstanceId: instanceId })), "PluginName");
  },
  "what came of it on another node": async (ssm) => {
    const { CommandId } = await send(ssm);
    return said(ssm.send(new GetCommandInvocationCommand({ CommandId, InstanceId: "i-99999999999999999" })));
  },
  "a node that there is not": (ssm) => said(send(ssm, { InstanceIds: ["i-99999999999999999"] })),
  "a document that there is not": (ssm) => said(send(ssm, { DocumentName: "nothing" })),
  "a parameter": async (ssm) => {
    const { Parameter } = await ssm.send(new GetParameterCommand({ Name: "/plain" }));
    return said(Promise.resolve(Parameter!), "Name", "Type", "Value", "Version", "DataType");
  },
  "a parameter that there is not": (ssm) => said(ssm.send(new GetParameterCommand({ Name: "/nothing" }))),
};

/** Where the two differ, and what this one goes by. */
const differences: Readonly<Record<string, string>> = {
  "the status of a command that was just sent":
    "moto: it has succeeded; the API reference of Command: Pending, nothing completed",
  "the name of the step in what came of it":
    "moto: aws:runShellScript whatever the document; the API reference: the name of the step",
  "a node that there is not": "moto knows no fleet; the API reference of SendCommand: InvalidInstanceId",
  "a document that there is not": "moto does not look; the API reference of SendCommand: InvalidDocument",
};

let settle: () => Promise<void>;

describe.runIf(motoIsHere)("the sandbox's SSM answers as moto does", () => {
  let moto: Moto;
  let place: SsmPlace;
  let theirs: SSMClient;

  beforeAll(async () => {
    [moto, place] = await Promise.all([startMoto(), ssmPlace([neighbours()])]);
    settle = () => place.cloud.settle();
    place.ssm.putParameter({ name: "/plain", value: "text" });
    const credentials = { accessKeyId: "id", secretAccessKey: "secret" };
    theirs = new SSMClient({ endpoint: moto.endpoint, region: place.cloud.region, credentials, maxAttempts: 1 });
  }, 120_000);
  afterAll(async () => {
    theirs?.destroy();
    await place?.close();
    await moto?.stop();
  });

  test.each(Object.keys(scenarios))("%s", async (name) => {
    await moto.reset();
    const Content = JSON.stringify({ schemaVersion: "2.2", mainSteps: [] });
    await theirs.send(new CreateDocumentCommand({ Name: "shell", DocumentType: "Command", Content }));
    await theirs.send(new PutParameterCommand({ Name: "/plain", Type: "String", Value: "text" }));
    const node = place.machine({ instanceId, roleName: "old-host" });
    const [our, their] = [await scenarios[name]!(place.operator()), await scenarios[name]!(theirs)];
    await node.terminate();
    expectAgreement(differences, name, [our, their]);
  });
});
