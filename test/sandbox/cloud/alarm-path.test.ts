import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Deployment, deploy, hour, resourcesOf, synthesizedAssembly } from "./alarm-deployment.ts";

const { assembly, remove } = synthesizedAssembly();
afterAll(remove);

// biome-ignore lint/suspicious/noExplicitAny: properties are as many as resource types
type Properties = any;
const alarms = resourcesOf(assembly, "AWS::CloudWatch::Alarm").map(({ properties }): Properties => properties);
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

/** Names of the alarms of which a message arrived that they changed from one state to the other. */
const told = (at: Deployment, from: string, to: string): string[] =>
  [
    ...new Set(
      at.mail().flatMap(({ subject, text }) => {
        const [, name] = new RegExp(`^${to}: "(.+)" in EU \\(Frankfurt\\)$`).exec(subject) ?? [];
        return name !== undefined && JSON.parse(text).OldStateValue === from ? [name] : [];
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
