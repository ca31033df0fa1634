import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { dispatchRequest } from "../../lambdas/dispatch/request.ts";
import { withContext } from "../../sandbox/cloud/services/scheduler/schedule.ts";
import { scratchDirectory } from "../fixtures/scratch.ts";
import { region } from "../fixtures/synthesized-account.ts";
import { repository } from "../house/source-files.ts";
import { resourcesOf, statementsOf, synthesize, textOf } from "./synthesized.ts";

const templates = synthesize();
const control = templates["mailark-control"]!;
const all = (type: string) => resourcesOf(control, type).map(([, { Properties }]) => Properties);
const runbook = readFileSync(join(repository, "docs/runbook.md"), "utf8");
const entries = [...runbook.matchAll(/^## ([a-z-]+)$/gm)].map(([, entry]) => entry);

describe("an alarm", () => {
  const alarms = all("AWS::CloudWatch::Alarm");

  test("has a name, a severity, and an entry in the runbook with what to do", () => {
    expect(alarms.length).toBeGreaterThan(5);
    for (const { AlarmName, AlarmDescription } of alarms) {
      const entry = AlarmName.replace(/^mailark-/, "");
      expect(entries).toContain(entry);
      expect(AlarmDescription).toMatch(new RegExp(`^(critical|warning): .+docs/runbook\\.md#${entry}$`));
    }
  });

  test("tells when it begins and when it ends, over the topic of its severity", () => {
    for (const { AlarmDescription, AlarmActions, OKActions } of alarms) {
      const topic = resourcesOf(control, "AWS::SNS::Topic").find(([id]) => textOf(AlarmActions[0]) === `<${id}>`)!;
      expect(topic[1].Properties.TopicName).toBe(`mailark-${AlarmDescription.split(":")[0]}`);
      expect(OKActions).toEqual(AlarmActions);
    }
  });

  test("turns red when nothing is heard any more; only counters of faults may be silent", () => {
    const silent = alarms.filter(({ TreatMissingData }) => TreatMissingData !== "breaching");
    expect(silent.map(({ MetricName }) => MetricName).sort()).toEqual([
      "5xx",
      "ApproximateNumberOfMessagesVisible",
      "Errors",
      "Errors",
      "Errors",
      "NumberOfNotificationsFailed",
      "NumberOfNotificationsFailed",
    ]);
    const heard = alarms.filter(({ TreatMissingData }) => TreatMissingData === "breaching");
    expect(
      heard.map(({ MetricName, Threshold, ComparisonOperator }) => [MetricName, ComparisonOperator, Threshold]),
    ).toEqual(
      expect.arrayContaining([
        ["HostsStarted", "LessThanThreshold", 1],
        ["SnapshotsIntact", "LessThanThreshold", 1],
        ["SweepsDone", "LessThanThreshold", 1],
      ]),
    );
  });

  test("of undelivered messages goes the other way", () => {
    const undelivered = alarms.filter(({ MetricName }) => MetricName === "NumberOfNotificationsFailed");
    for (const { AlarmName, AlarmDescription } of undelivered) {
      expect(AlarmDescription.startsWith(AlarmName.includes("critical") ? "warning" : "critical")).toBe(true);
    }
  });
});

test("every entry of the runbook is of an alarm or a notice that there is, and says what it means and what to do", () => {
  const named = [
    ...all("AWS::CloudWatch::Alarm").map(({ AlarmName }) => AlarmName),
    ...all("AWS::Events::Rule").flatMap(({ Name, Description }) => (/runbook/.test(Description) ? [Name] : [])),
  ];
  expect(entries.map((entry) => `mailark-${entry}`).sort()).toEqual(named.sort());
  for (const section of runbook.split(/^## /m).slice(1)) {
    expect(section).toMatch(/\*\*Description\*\*[\s\S]+\*\*Investigation\*\*[\s\S]+\*\*Resolution\*\*/);
  }
});

describe("a topic", () => {
  test("is sealed with a key that CloudWatch and EventBridge may use, so that what is published arrives", () => {
    const [key] = resourcesOf(control, "AWS::KMS::Key");
    for (const { KmsMasterKeyId } of all("AWS::SNS::Topic")) expect(textOf(KmsMasterKeyId)).toBe(`<${key![0]}.Arn>`);
    const usage = statementsOf(templates).filter(
      ({ where, sid }) => where.startsWith("mailark-control") && sid?.startsWith("Publish"),
    );
    expect(usage.map(({ principal, actions }) => [principal, actions])).toEqual([
      [{ Service: "cloudwatch.amazonaws.com" }, ["kms:Decrypt", "kms:GenerateDataKey"]],
      [{ Service: "events.amazonaws.com" }, ["kms:Decrypt", "kms:GenerateDataKey"]],
    ]);
  });

  test("takes messages of both, and tells everybody who was named", () => {
    const publishing = statementsOf(templates).filter(
      ({ type, effect, actions }) =>
        type === "AWS::SNS::TopicPolicy" && effect === "Allow" && actions.includes("sns:Publish"),
    );
    expect(publishing.map(({ principal }) => (principal as { Service: string }).Service).sort()).toEqual([
      "cloudwatch.amazonaws.com",
      "cloudwatch.amazonaws.com",
      "events.amazonaws.com",
      "events.amazonaws.com",
    ]);
    expect(all("AWS::SNS::Subscription").map(({ Endpoint, Protocol }) => [Protocol, Endpoint])).toEqual([
      ["email", "postmaster@example.com"],
      ["email", "postmaster@example.com"],
    ]);
  });
});

describe("a schedule", () => {
  const found = new Map(all("AWS::Scheduler::Schedule").map((schedule) => [schedule.Name, schedule]));

  test("starts each tier at its time, in the time zone, and sweeps", () => {
    expect([...found].map(([name, { ScheduleExpression }]) => [name, ScheduleExpression])).toEqual([
      ["mailark-databases", "rate(6 hours)"],
      ["mailark-files", "cron(30 4 * * ? *)"],
      ["mailark-mail", "cron(0 5 * * ? *)"],
      ["mailark-full", "cron(0 6 ? * SUN *)"],
      ["mailark-sweep", "rate(1 day)"],
      ["mailark-deep-verification", "rate(7 days)"],
    ]);
    for (const { ScheduleExpressionTimezone, FlexibleTimeWindow } of found.values()) {
      expect(ScheduleExpressionTimezone).toBe("Europe/Berlin");
      expect(FlexibleTimeWindow.Mode).toBe("FLEXIBLE");
    }
  });

  test("is tried again, and ends among the dead letters", () => {
    for (const { Target } of found.values()) {
      expect(Target.RetryPolicy).toEqual({ MaximumRetryAttempts: 10, MaximumEventAgeInSeconds: 3600 });
      expect(textOf(Target.DeadLetterConfig.Arn)).toMatch(/DeadLetters/);
    }
  });

  test("asks dispatch for what its tier captures, under a name of its own each time", () => {
    expect(JSON.parse(found.get("mailark-mail")!.Target.Input)).toEqual({
      requestId: "mailark-mail.<aws.scheduler.scheduled-time>",
      requestedBy: "schedule mailark-mail",
      tier: "mail",
      components: ["queue", "mail"],
    });
    expect(JSON.parse(found.get("mailark-full")!.Target.Input).components).toHaveLength(7);
  });

  test("is one request at all attempts at one time, and another at another", () => {
    const asked = (name: string, time: string, attempt: string) => {
      const context = {
        "schedule-arn": "arn",
        "scheduled-time": time,
        "execution-id": attempt,
        "attempt-number": attempt,
      };
      return dispatchRequest.parse(JSON.parse(withContext(found.get(name)!.Target.Input, context)));
    };
    const first = asked("mailark-mail", "2027-03-01T00:00:00Z", "1");
    expect(first.requestId).toBe("mailark-mail.2027-03-01T00:00:00Z");
    expect(asked("mailark-mail", "2027-03-01T00:00:00Z", "2")).toEqual(first);
    expect(asked("mailark-mail", "2027-03-01T00:05:00Z", "1").requestId).not.toBe(first.requestId);
    expect(asked("mailark-full", "2027-03-01T00:00:00Z", "1").requestId).not.toBe(first.requestId);
  });

  test("may be as often as every 5 minutes, without a window", () => {
    const often = synthesize({ schedules: { mail: { expression: "rate(5 minutes)", windowMinutes: 0 } } });
    const mail = resourcesOf(often["mailark-control"], "AWS::Scheduler::Schedule").find(
      ([, { Properties }]) => Properties.Name === "mailark-mail",
    )!;
    expect(mail[1].Properties).toMatchObject({
      ScheduleExpression: "rate(5 minutes)",
      FlexibleTimeWindow: { Mode: "OFF" },
    });
  });
});

describe("a function", () => {
  const functions = all("AWS::Lambda::Function");

  test("runs on Node 24 for arm64, with a log of its own that ends", () => {
    expect(functions.map(({ FunctionName }) => FunctionName)).toEqual([
      "mailark-dispatch",
      "mailark-verify",
      "mailark-api",
    ]);
    for (const { Runtime, Architectures, LoggingConfig } of functions) {
      expect({ Runtime, Architectures }).toEqual({ Runtime: "nodejs24.x", Architectures: ["arm64"] });
      expect(LoggingConfig.LogGroup).toBeDefined();
    }
    const logs = all("AWS::Logs::LogGroup").map(({ LogGroupName, RetentionInDays }) => [LogGroupName, RetentionInDays]);
    const ofFunctions = functions.map(({ FunctionName }) => [`/aws/lambda/${FunctionName}`, 400]);
    expect(logs).toEqual([...ofFunctions, ["/aws/vendedlogs/mailark-api", 400]]);
  });

  test("has a role of its own", () => {
    const roles = functions.map(({ Role }) => textOf(Role));
    expect(new Set(roles).size).toBe(functions.length);
  });

  test("that fails for good leaves its event among the dead letters, where nobody waits for its answer", () => {
    const configs = all("AWS::Lambda::EventInvokeConfig");
    const named = configs.map(({ FunctionName }) => control.Resources[FunctionName.Ref]?.Properties.FunctionName);
    expect(named).toEqual(["mailark-dispatch", "mailark-verify"]);
    for (const { DestinationConfig } of configs)
      expect(textOf(DestinationConfig.OnFailure.Destination)).toMatch(/DeadLetters/);
  });

  test("verify is woken by manifests and records of runs of the data bucket alone", () => {
    const rule = all("AWS::Events::Rule").find(({ Name }) => Name === "mailark-manifest-arrived");
    expect(rule.EventPattern).toEqual({
      source: ["aws.s3"],
      "detail-type": ["Object Created"],
      detail: {
        bucket: { name: ["mailark-data-111122223333-eu-central-1"] },
        object: { key: [{ suffix: "/manifest.json" }] },
      },
    });
    expect(textOf(rule.Targets[0].DeadLetterConfig.Arn)).toMatch(/DeadLetters/);
    const ended = all("AWS::Events::Rule").find(({ Name }) => Name === "mailark-run-ended");
    const { bucket } = rule.EventPattern.detail;
    const detail = { bucket, object: { key: [{ wildcard: "hosts/*/runs/*.json" }] } };
    expect(ended.EventPattern).toEqual({ ...rule.EventPattern, detail });
  });
});

describe("a document", () => {
  const documents = new Map(
    all("AWS::SSM::Document").map(({ Name, Content }) => [Name.replace("mailark-", ""), Content]),
  );
  const stepOf = (kind: string) => documents.get(kind).mainSteps[0].inputs;

  test("is there for each thing that is done on hosts", () => {
    expect([...documents.keys()]).toEqual(["backup", "drill", "restore", "install", "doctor"]);
  });

  test("gets its values as environment, each of a pattern from end to end, and never as text of the script", () => {
    for (const content of documents.values()) {
      expect(JSON.stringify(content.mainSteps)).not.toContain("{{");
      for (const { interpolationType, allowedPattern } of Object.values<{
        interpolationType: string;
        allowedPattern: string;
      }>(content.parameters)) {
        expect(interpolationType).toBe("ENV_VAR");
        for (const alternative of allowedPattern.split(/(?<=\$)\|(?=\^)/)) expect(alternative).toMatch(/^\^.*\$$/);
      }
    }
  });

  test.each([
    [
      "backup",
      "Components",
      ["", "mysql", "queue mail"],
      ["mysql;id", "--debug", "mysql  mail", "$(id)", "mysql\nmail", "all"],
    ],
    [
      "backup",
      "Base",
      ["", "mysql=20261121T020000.000Z-k3m9x2qa7b"],
      ["mysql=latest", "mysql=20261121T020000.000Z-k3m9x2qa7b;id", "x=20261121T020000.000Z-k3m9x2qa7b"],
    ],
    ["backup", "RequestId", ["", "d32c5kddcf5bb8c3", "by-hand_1.2"], ["-x", ".", "a b", "$(id)", "a".repeat(101)]],
    ["restore", "To", ["/srv/restored"], ["srv", "/srv/a b", "/srv/$(id)", "-rf", "/srv/`id`"]],
    ["restore", "At", ["latest", "2026-11-21T02:00Z"], ["now", "--all", "latest;"]],
    ["restore", "Fingerprint", ["a".repeat(64)], ["a".repeat(63), ""]],
    ["drill", "Host", ["AROAEXAMPLE:i-0123"], ["-x", "a b", "../a", ""]],
    [
      "drill",
      "Probe",
      ["", "probe+x@mail.example.com"],
      ["-x@example.com", "a b@example.com", "$(id)@e.com", "a@", "a"],
    ],
    ["drill", "ProbePasswordFile", ["", "/root/password"], ["password", "/a b", "/$(id)"]],
    ["drill", "Scratch", ["/srv/drills"], ["", "srv", "--all"]],
    [
      "install",
      "Url",
      ["https://example.com/a.tar.gz"],
      ["http://example.com/a", "https://e.com/$(id)", "file:///etc", "https://e.com/a b"],
    ],
  ])("%s takes what it should as %s, and nothing else", (kind, name, taken, refused) => {
    const pattern = new RegExp(documents.get(kind).parameters[name].allowedPattern);
    expect(taken.filter((value) => !pattern.test(value))).toEqual([]);
    expect(refused.filter((value) => pattern.test(value))).toEqual([]);
  });

  test("leaves a first full backup two days", () => {
    expect(stepOf("backup").timeoutSeconds).toBe("172800");
  });

  describe("as a script", () => {
    /** Runs a document's script with a program called mailark that says what it was given, and one called aws. */
    const runScript = (
      kind: string,
      values: Record<string, string>,
      mailark = 'for word in "$@"; do echo "word: $word"; done',
      aws = "exit 1",
    ) => {
      const directory = scratchDirectory();
      const bin = join(directory, "bin");
      mkdirSync(bin);
      for (const [name, script] of Object.entries({ mailark, aws })) {
        writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
        chmodSync(join(bin, name), 0o755);
      }
      writeFileSync(join(directory, "script.sh"), stepOf(kind).runCommand.join("\n"));
      const env = {
        PATH: `${bin}:/usr/bin:/bin`,
        TMPDIR: directory,
        ...Object.fromEntries(Object.entries(values).map(([name, value]) => [`SSM_${name}`, value])),
      };
      try {
        return {
          status: 0,
          output: execFileSync("/bin/sh", [join(directory, "script.sh")], { env, encoding: "utf8", stdio: "pipe" }),
        };
      } catch (error) {
        const { status, stdout, stderr } = error as { status: number; stdout: string; stderr: string };
        return { status, output: stdout + stderr };
      }
    };

    test("a backup gets its components as words, and its base as environment", () => {
      const base = "mysql=20261121T020000.000Z-k3m9x2qa7b";
      const values = { Components: "mysql mail", Base: base, RequestId: "r-1" };
      expect(runScript("backup", values, 'echo "$#: $* $MAILARK_BASE $MAILARK_REQUEST"')).toEqual({
        status: 0,
        output: `4: backup --configured mysql mail ${base} r-1\n`,
      });
    });

    test("a value is never read as shell, even where its pattern did not stop it", () => {
      const { output } = runScript("backup", { Components: "$(touch x);`id` *", Base: '"; id; "', RequestId: "" });
      expect(output).toBe("word: backup\nword: --configured\nword: $(touch\nword: x);`id`\nword: *\n");
      const restored = runScript("restore", {
        Component: "$(id)",
        Host: "h h",
        Fingerprint: "f",
        At: "latest",
        To: "/srv; id",
        IdentityFile: "/k",
        Profile: "",
      });
      expect(restored.output).toContain("word: $(id)\n");
      expect(restored.output).toContain("word: h h\n");
      expect(restored.output).toContain("word: /srv; id\n");
    });

    const drilled = {
      Components: "mysql",
      Host: "h",
      Fingerprint: "f",
      Scratch: "/s",
      Probe: "",
      ProbePasswordFile: "",
    };

    test("a drill's program reads the key on its input, from the parameters of the stack's region and no other", () => {
      const values = drilled;
      const aws = `[ "$3 $4" = "--region ${region}" ] && echo "the key"`;
      const { status, output } = runScript("drill", values, 'read -r key; echo "$key, $2 $3"', aws);
      expect({ status, output }).toEqual({ status: 0, output: "the key, --identity -\n" });
      expect(runScript("drill", values, undefined, "exit 1")).toMatchObject({ status: 1 });
    });

    test("a drill is of the mailbox that is named, with its password, or of one that the program finds", () => {
      const words = (more: object) => {
        const { output } = runScript("drill", { ...drilled, ...more }, 'shift 9; echo "$*"', "echo key");
        return output.trim();
      };
      expect(words({})).toBe("--scratch /s mysql");
      expect(words({ Probe: "probe@example.com" })).toBe("--scratch /s mysql --probe probe@example.com");
      const both = { Probe: "probe@example.com", ProbePasswordFile: "/root/password" };
      expect(words(both)).toBe("--scratch /s mysql --probe probe@example.com --probe-password-file /root/password");
    });

    test("its status is the program's, and its output the end of the report", () => {
      const { status, output } = runScript(
        "backup",
        { Components: "", Base: "", RequestId: "" },
        "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; exit 3",
      );
      expect(status).toBe(3);
      expect(output).toHaveLength(20000);
      expect(output.endsWith("line 2999\n")).toBe(true);
    });

    test("a machine whose agent does not set the values refuses, and runs nothing", () => {
      expect(runScript("backup", { Components: "" })).toEqual({
        status: 2,
        output: "this machine's SSM agent is older than 3.3.2746: update it\n",
      });
    });
  });
});
