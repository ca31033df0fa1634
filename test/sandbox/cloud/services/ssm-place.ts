import { chmodSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import {
  GetCommandInvocationCommand,
  ListCommandsCommand,
  SendCommandCommand,
  type SendCommandCommandInput,
  SSMClient,
} from "@aws-sdk/client-ssm";
import { onTestFinished } from "vitest";
import { bucketsOf } from "../../../../sandbox/cloud/deployed/buckets.ts";
import { sessionCredential } from "../../../../sandbox/cloud/deployed/session-credential.ts";
import { accountOf } from "../../../../sandbox/cloud/iam/account.ts";
import type { Credential } from "../../../../sandbox/cloud/s3/credentials.ts";
import { startS3 } from "../../../../sandbox/cloud/s3/server.ts";
import { CallRefused, type Cloud, type CloudClock, type CloudEvent } from "../../../../sandbox/cloud/service.ts";
import { localMachine } from "../../../../sandbox/cloud/services/ssm/local-machine.ts";
import type { NodeOptions } from "../../../../sandbox/cloud/services/ssm/managed-node.ts";
import { ssmService } from "../../../../sandbox/cloud/services/ssm/ssm-service.ts";
import type { SynthesizedStack } from "../../../../sandbox/cloud/template/assembly.ts";
import { resolveStacks } from "../../../../sandbox/cloud/template/stack.ts";
import { owner } from "../../../fixtures/sandbox-s3.ts";
import { ownDirectory, scratchDirectory } from "../../../fixtures/scratch.ts";
import { account, region } from "../../../fixtures/synthesized-account.ts";

/** A clock that goes on when it is told to. What is due on the way is done at its time, and `settled` before the next. */
function steppedClock(start: string, settled: () => Promise<void>) {
  let now = Date.parse(start);
  const due: { readonly time: number; readonly work: () => void }[] = [];
  const clock: CloudClock = {
    now: () => now,
    at(time, work) {
      const entry = { time, work };
      due.push(entry);
      return () => {
        if (due.includes(entry)) due.splice(due.indexOf(entry), 1);
      };
    },
    sleep: () => Promise.reject(new Error("nobody sleeps here")),
  };
  return {
    clock,
    async advance(milliseconds: number) {
      await settled();
      const end = now + milliseconds;
      for (;;) {
        const [next] = due.filter(({ time }) => time <= end).sort((a, b) => a.time - b.time);
        if (next === undefined) break;
        due.splice(due.indexOf(next), 1);
        now = Math.max(now, next.time);
        next.work();
        await settled();
      }
      now = end;
    },
  };
}

/** SSM and S3 with what the stacks describe, and nothing of the other services. */
export async function ssmPlace(synthesized: readonly SynthesizedStack[]) {
  const stacks = resolveStacks(synthesized, { parameterStore: { "/cdk-bootstrap/hnb659fds/version": "21" } });
  const judge = accountOf(stacks);
  const { path, remove } = ownDirectory();
  const { clock, advance } = steppedClock("2026-11-21T02:00:00.000Z", () => settle());
  const s3 = await startS3({
    directory: join(path, "s3"),
    credentials: [owner],
    buckets: bucketsOf(stacks, region),
    region,
  });
  const known = new Map<
    string,
    { readonly credential: Credential; readonly caller: ReturnType<typeof judge.session> }
  >();
  const events: CloudEvent[] = [];
  const used: string[] = [];
  const underWay = new Set<Promise<unknown>>();
  const who = (role: string, session: string) => {
    const name = `${role}/${session}`;
    const caller = judge.session(role, session);
    const made = known.get(name) ?? { caller, credential: sessionCredential(judge, caller, { region }) };
    known.set(name, made);
    s3.settings.credentials = [owner, ...[...known.values()].map(({ credential }) => credential)];
    return made;
  };
  const api = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const key = /Credential=([A-Z0-9]+)\//.exec(request.headers.authorization ?? "")?.[1];
    const { caller } = [...known.values()].find(({ credential }) => credential.accessKeyId === key)!;
    const operation = String(request.headers["x-amz-target"]).split(".")[1]!;
    const [status, answer] = await ssm.answer!({
      operation,
      caller,
      input: JSON.parse(Buffer.concat(chunks).toString()),
    }).then(
      (body): [number, object] => [200, body],
      (error: Error): [number, object] => {
        if (error instanceof CallRefused) return [error.status, { __type: error.code, message: error.message }];
        return [500, { __type: "Defect", message: error.message }];
      },
    );
    response.writeHead(status, { "content-type": "application/x-amz-json-1.1" }).end(JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => api.listen(0, "127.0.0.1", resolve));
  const cloud: Cloud = {
    clock,
    account: judge,
    accountId: account,
    region,
    endpoints: { api: `http://127.0.0.1:${(api.address() as AddressInfo).port}`, s3: s3.url },
    directory: path,
    assembly: path,
    allows(caller, need) {
      const around = { "aws:RequestedRegion": region, "aws:SecureTransport": "true" };
      const { allowed } = judge.judge({ caller, ...need, context: { ...around, ...need.context } });
      if (allowed && caller.kind === "session") used.push(need.action);
      return allowed;
    },
    credential: (role, session) => who(role, session).credential,
    async publish(event) {
      events.push(event);
    },
    deliver: () => Promise.reject(new Error("nothing is delivered here")),
    measure: () => {},
    note: () => {},
    goOn(work) {
      const going = work.finally(() => underWay.delete(going));
      underWay.add(going);
    },
  };
  const ssm = ssmService(cloud);
  for (const resource of stacks.flatMap(({ resources }) => resources)) {
    if (ssm.types.includes(resource.type)) ssm.make(resource);
  }
  const clients = new Map<string, SSMClient>();
  let machines = 0;

  /** A client of the API with a session of the role. */
  function client(role: string, session: string): SSMClient {
    const name = `${role}/${session}`;
    const { credential } = who(role, session);
    const made =
      clients.get(name) ??
      new SSMClient({ region, endpoint: cloud.endpoints.api, credentials: credential, maxAttempts: 1 });
    clients.set(name, made);
    return made;
  }

  /** Until nothing is going on that holds time still. */
  async function settle() {
    while (underWay.size > 0) await Promise.all(underWay);
  }

  return {
    ssm,
    stacks,
    events,
    used,
    advance,
    settle,
    client,
    endpoints: cloud.endpoints,
    /** Sessions of the function that starts backups, and of somebody who may do everything. */
    dispatcher: () => client("mailark-dispatch", "dispatch"),
    operator: () => client("operator", "alice"),

    /** A machine of this test's own, with programs of its own before the system's; its directory is `$PLACE` to them. */
    machine({
      programs = {},
      ...options
    }: Partial<NodeOptions> & { programs?: Readonly<Record<string, string>> } = {}) {
      const directory = scratchDirectory();
      for (const [name, text] of Object.entries(programs)) {
        writeFileSync(join(directory, name), `#!/bin/sh\n${text}\n`);
        chmodSync(join(directory, name), 0o755);
      }
      machines += 1;
      const node = ssm.register({
        instanceId: `i-${String(machines).padStart(17, "0")}`,
        roleName: "mailark-host",
        tags: { mailark: "host" },
        run: localMachine({ PATH: `${directory}:${process.env.PATH}`, HOME: directory, PLACE: directory }),
        ...options,
      });
      onTestFinished(() => node.terminate());
      return { ...node, directory };
    },

    /** One value for each parameter. */
    async send(
      as: SSMClient,
      document: string,
      to: readonly Machine[],
      parameters: Readonly<Record<string, string>> = {},
      more: Partial<SendCommandCommandInput> = {},
    ) {
      const InstanceIds = to.map(({ instanceId }) => instanceId);
      const Parameters = Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, [value]]));
      const { Command } = await as.send(
        new SendCommandCommand({ DocumentName: document, InstanceIds, Parameters, ...more }),
      );
      return Command!.CommandId!;
    },

    /** What became of a command on a machine. */
    async outcome(CommandId: string, { instanceId: InstanceId }: Machine, PluginName?: string) {
      await settle();
      return client("operator", "alice").send(new GetCommandInvocationCommand({ CommandId, InstanceId, PluginName }));
    },

    /** What became of the whole command. */
    async commandOf(CommandId: string) {
      await settle();
      const { Commands } = await client("operator", "alice").send(new ListCommandsCommand({ CommandId }));
      return Commands![0]!;
    },

    async close() {
      await ssm.close!();
      for (const each of clients.values()) each.destroy();
      api.closeAllConnections();
      await new Promise((resolve) => api.close(resolve));
      await s3.close();
      remove();
    },
  };
}

type Machine = { readonly instanceId: string };

export type SsmPlace = Awaited<ReturnType<typeof ssmPlace>>;

/** The name of the error of a call. */
export const refusal = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "allowed",
    (error: Error) => error.name,
  );
