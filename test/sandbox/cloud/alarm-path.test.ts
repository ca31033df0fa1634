import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { refuseMail } from "../../../sandbox/cloud/services/sns/inbox.ts";
import { account } from "../../fixtures/synthesized-account.ts";
import {
  type Change,
  type Deployment,
  deploy,
  hour,
  minute,
  resourcesOf,
  synthesizedAssembly,
} from "./alarm-deployment.ts";
import { patched, statements } from "./patches.ts";

const { assembly, remove } = synthesizedAssembly();
afterAll(remove);

// biome-ignore lint/suspicious/noExplicitAny: properties are as many as resource types
type Properties = any;
const alarms = resourcesOf(assembly, "AWS::CloudWatch::Alarm").map(({ properties }): Properties => properties);
/** Rules that hand an event to a topic. */
const notices = resourcesOf(assembly, "AWS::Events::Rule").flatMap(({ ref, properties }) =>
  properties.Targets.some(({ Arn }: Properties) => /^arn:aws:sns:/.test(Arn))
    ? [{ name: ref, event: sampleOf(properties.EventPattern) }]
    : [],
);

/** An event that fits a pattern of nothing but values. */
function sampleOf(pattern: Properties): Properties {
  if (Array.isArray(pattern)) {
    if (typeof pattern[0] === "object") throw new Error(`no sample for ${JSON.stringify(pattern[0])}`);
    return pattern[0];
  }
  return Object.fromEntries(Object.entries(pattern).map(([name, each]) => [name, sampleOf(each)]));
}
const namesOf = (all: readonly Properties[]): string[] => all.map(({ AlarmName }) => AlarmName).sort();
const ringsInSilence = ({ TreatMissingData }: Properties): boolean => TreatMissingData === "breaching";

function measure({ cloud }: Deployment, alarm: Properties, kind: "good" | "bad"): void {
  const { Namespace: namespace, MetricName: name, Dimensions, Threshold, ComparisonOperator } = alarm;
  const beyond = ComparisonOperator.startsWith("Greater") ? 1 : -1;
  const dimensions = Object.fromEntries(Dimensions.map(({ Name, Value }: Record<string, string>) => [Name, Value]));
  cloud.measure({ namespace, name, dimensions, value: kind === "good" ? Threshold : Threshold + beyond });
}

/** All is well for two hours; then faults are counted once, and whoever should report is silent until each alarm must ring. */
async function goWrong(at: Deployment, each: (hours: number) => void = () => {}): Promise<void> {
  for (const alarm of alarms) measure(at, alarm, "good");
  await at.cloud.advance(2 * hour);
  for (const alarm of alarms) if (!ringsInSilence(alarm)) measure(at, alarm, "bad");
  for (let hours = 2; hours <= 54; hours++) {
    await at.cloud.advance(hour);
    each(hours);
  }
}

/** Names of the alarms of which a message arrived that they changed from one state, or any, to the other. */
const told = (at: Deployment, from: string | undefined, to: string): string[] =>
  [
    ...new Set(
      at.mail().flatMap(({ subject, text }) => {
        const [, name] = new RegExp(`^${to}: "(.+)" in EU \\(Frankfurt\\)$`).exec(subject) ?? [];
        return name !== undefined && (from ?? JSON.parse(text).OldStateValue) === JSON.parse(text).OldStateValue
          ? [name]
          : [];
      }),
    ),
  ].sort();

describe("an alarm of the stack", () => {
  let at: Deployment;
  /** Hours for which all was silent, at most an hour more. */
  const silentFor = new Map<string, number>();
  beforeAll(async () => {
    at = await deploy(assembly);
    await goWrong(at, (hours) => {
      for (const name of told(at, "OK", "ALARM")) silentFor.set(name, silentFor.get(name) ?? hours);
    });
    for (const alarm of alarms) measure(at, alarm, "good");
    await at.cloud.advance(2 * hour);
  });
  afterAll(() => at.close());

  test.each(namesOf(alarms))("%s is in the inbox when it begins, with what to do, and when it is over", (name) => {
    expect(told(at, "OK", "ALARM")).toContain(name);
    expect(told(at, "ALARM", "OK")).toContain(name);
    const letter = at.mail().find(({ subject }) => subject.startsWith(`ALARM: "${name}"`))!;
    const entry = name.replace(/^[a-z]+-/, "");
    expect(JSON.parse(letter.text).AlarmDescription).toMatch(new RegExp(`docs/runbook\\.md#${entry}$`));
  });

  test.each(alarms.filter(ringsInSilence).map(({ AlarmName, AlarmDescription }) => [AlarmName, AlarmDescription]))(
    "%s rings after the silence that it speaks of, and not days later",
    (name, says) => {
      const spoken = /two days/.test(says) ? 48 : 24;
      expect(silentFor.get(name)).toBeGreaterThanOrEqual(spoken);
      expect(silentFor.get(name)).toBeLessThanOrEqual(spoken + 4);
    },
  );
});

/** Puts an event for every notice on the bus. */
async function giveNotice({ cloud }: Deployment): Promise<void> {
  for (const { event } of notices) await cloud.publish(event);
  await cloud.settle();
}

/** Names of the rules whose text arrived. */
const noticed = (at: Deployment): string[] =>
  at.mail().flatMap(({ text }) => /^"?(?:critical|warning): .* docs\/runbook\.md#([a-z-]+)"?$/.exec(text)?.[1] ?? []);
const noticeNames = notices.map(({ name }) => name.replace(/^[a-z]+-/, "")).sort();

describe("a notice of the stack", () => {
  test("is in the inbox, with what to do", async () => {
    const at = await deployed();
    await giveNotice(at);
    expect(noticed(at).sort()).toEqual(noticeNames);
    expect(noticeNames.length).toBeGreaterThan(2);
  });

  test.each(["ScheduleKeyDeletion", "DisableKey", "PutKeyPolicy"])(
    "tells of %s on the key of the vault",
    async (call) => {
      const at = await deployed();
      const attempt = at.kms(call, "alias/mailark-vault");
      // The policy denies the first two to everybody; what the third would do is not done here.
      await expect(attempt).rejects.toThrow();
      expect(at.mail().map(({ text }) => text)).toEqual([
        expect.stringContaining(`arn:aws:iam::${account}:root called ${call} of KMS`),
      ]);
    },
  );

  test("that no topic takes is a dead letter, of which an alarm tells", async () => {
    const at = await deployed(notLetIn("AWS::SNS::TopicPolicy", "events"));
    await giveNotice(at);
    await at.cloud.advance(10 * minute);
    expect(noticed(at)).toEqual([]);
    expect(told(at, undefined, "ALARM")).toContain("mailark-dead-letters");
  });
});

test("mail of one topic that is not taken is told by way of the other", async () => {
  const apart: Change = (stacks) =>
    patched(stacks, {
      "AWS::SNS::Subscription": (resource) => {
        resource.Properties.Endpoint = `${resource.Properties.TopicArn.Ref.toLowerCase()}@example.com`;
        return resource;
      },
    });
  const at = await deployed(apart);
  const [endpoint] = resourcesOf(assembly, "AWS::SNS::Subscription", apart)
    .map(({ properties }) => properties.Endpoint as string)
    .filter((each) => each.includes("critical"));
  refuseMail(at.directory, endpoint!);
  await giveNotice(at);
  await at.cloud.advance(9 * hour);
  expect(told(at, undefined, "ALARM")).toContain("mailark-undelivered-critical");
});

async function deployed(change: Change = (stacks) => stacks, confirmed = true): Promise<Deployment> {
  const at = await deploy(assembly, { change, confirmed });
  onTestFinished(() => at.close());
  return at;
}

// biome-ignore lint/suspicious/noExplicitAny: resources and statements as they stand in the template
type Written = any;
const properties =
  (type: string, change: (properties: Written) => void): Change =>
  (stacks) =>
    patched(stacks, {
      [type]: (resource) => {
        change(resource.Properties);
        return resource;
      },
    });
const without =
  (type: string): Change =>
  (stacks) =>
    patched(stacks, { [type]: () => undefined });
const ofService = ({ Principal }: Written, name: string) => Principal?.Service === `${name}.amazonaws.com`;
const notLetIn =
  (type: "AWS::KMS::Key" | "AWS::SNS::TopicPolicy", service: string): Change =>
  (stacks) =>
    statements(stacks, type, (each) => (ofService(each, service) ? undefined : each));
const forAnother =
  (type: "AWS::KMS::Key" | "AWS::SNS::TopicPolicy", key: string, value: string): Change =>
  (stacks) =>
    statements(stacks, type, (each) =>
      ofService(each, "cloudwatch") ? { ...each, Condition: { StringEquals: { [key]: value } } } : each,
    );
const alarmsWith = (change: (alarm: Written) => void) => properties("AWS::CloudWatch::Alarm", change);

const all = namesOf(alarms);
const faults = namesOf(alarms.filter((each) => !ringsInSilence(each)));
const silences = namesOf(alarms.filter(ringsInSilence));

/** What is still told with a mistake in the stack. */
const mistakes: readonly [mistake: string, change: Change, alarms: readonly string[], notices: readonly string[]][] = [
  ["the key does not let CloudWatch in", notLetIn("AWS::KMS::Key", "cloudwatch"), [], noticeNames],
  ["the key does not let EventBridge in", notLetIn("AWS::KMS::Key", "events"), all, []],
  [
    "the key lets CloudWatch seal, and not open",
    (stacks) =>
      statements(stacks, "AWS::KMS::Key", (each) =>
        ofService(each, "cloudwatch") ? { ...each, Action: "kms:GenerateDataKey" } : each,
      ),
    [],
    noticeNames,
  ],
  [
    "the key expects alarms of another account",
    forAnother("AWS::KMS::Key", "aws:SourceAccount", "999999999999"),
    [],
    noticeNames,
  ],
  [
    "the key expects another service between",
    forAnother("AWS::KMS::Key", "kms:ViaService", "sqs.eu-central-1.amazonaws.com"),
    [],
    noticeNames,
  ],
  [
    "the topics are sealed with the key that AWS keeps",
    properties("AWS::SNS::Topic", (topic) => {
      topic.KmsMasterKeyId = "alias/aws/sns";
    }),
    [],
    [],
  ],
  [
    "the key is switched off",
    properties("AWS::KMS::Key", (key) => {
      key.Enabled = false;
    }),
    [],
    [],
  ],
  ["the topics have no policies", without("AWS::SNS::TopicPolicy"), [], []],
  ["the topics do not let CloudWatch in", notLetIn("AWS::SNS::TopicPolicy", "cloudwatch"), [], noticeNames],
  ["the topics do not let EventBridge in", notLetIn("AWS::SNS::TopicPolicy", "events"), all, []],
  [
    "the topics expect alarms of another account",
    forAnother("AWS::SNS::TopicPolicy", "aws:SourceAccount", "999999999999"),
    [],
    noticeNames,
  ],
  ["nobody is subscribed", without("AWS::SNS::Subscription"), [], []],
  [
    "alarms do nothing when they begin",
    alarmsWith((alarm) => {
      delete alarm.AlarmActions;
    }),
    [],
    noticeNames,
  ],
  [
    "alarms are muted",
    alarmsWith((alarm) => {
      alarm.ActionsEnabled = false;
    }),
    [],
    noticeNames,
  ],
  [
    "alarms look at a metric that nobody measures",
    alarmsWith((alarm) => {
      alarm.MetricName += "s";
    }),
    silences,
    noticeNames,
  ],
  [
    "alarms take silence for good",
    alarmsWith((alarm) => {
      alarm.TreatMissingData = "notBreaching";
    }),
    faults,
    noticeNames,
  ],
  [
    "alarms do not mind silence",
    alarmsWith((alarm) => {
      delete alarm.TreatMissingData;
    }),
    faults,
    noticeNames,
  ],
  [
    "alarms of silence have periods of days",
    alarmsWith((alarm) => {
      if (alarm.TreatMissingData !== "breaching") return;
      Object.assign(alarm, { Period: 86_400, DatapointsToAlarm: 1, EvaluationPeriods: 1 });
    }),
    faults,
    noticeNames,
  ],
];

describe("a mistake in the stack is seen here, for somebody is not told:", () => {
  const heard = async (change: Change, confirmed = true) => {
    const at = await deployed(change, confirmed);
    await giveNotice(at);
    await goWrong(at);
    return { alarms: told(at, undefined, "ALARM"), notices: noticed(at).sort(), notes: at.notes };
  };

  test.each(mistakes)("%s", async (_, change, toldAlarms, toldNotices) => {
    const { alarms, notices } = await heard(change);
    expect({ alarms, notices }).toEqual({ alarms: toldAlarms, notices: [...toldNotices].sort() });
    expect(toldAlarms.length + toldNotices.length).toBeLessThan(all.length + noticeNames.length);
  });

  test("nobody confirmed the subscription", async () => {
    expect(await heard((stacks) => stacks, false)).toMatchObject({ alarms: [], notices: [] });
  });
});
