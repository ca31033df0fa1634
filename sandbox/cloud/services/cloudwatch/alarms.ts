import { CallRefused, type Cloud } from "../../service.ts";
import { type Alarm, isDue, outcomeOf, type Standing } from "./alarm.ts";
import type { Metrics } from "./metrics.ts";
import { eventOf, messageOf, reasonDataOf, reasonOf } from "./words.ts";

/**
 * Alarms, and what becomes of them. One that changes tells its topics as `cloudwatch.amazonaws.com`. Whether they heard of
 * it, CloudWatch does not care, and it does not try again: what a topic refuses is in the cloud's notes, and nowhere else.
 */
export class Alarms {
  readonly #cloud: Cloud;
  readonly #metrics: Metrics;
  readonly #alarms = new Map<string, { readonly alarm: Alarm; standing: Standing }>();

  constructor(cloud: Cloud, metrics: Metrics) {
    this.#cloud = cloud;
    this.#metrics = metrics;
  }

  get all(): readonly { readonly alarm: Alarm; readonly standing: Standing }[] {
    return [...this.#alarms.values()];
  }

  add(alarm: Alarm): void {
    const reason = "Unchecked: Initial alarm creation";
    const standing: Standing = { value: "INSUFFICIENT_DATA", reason, reasonData: "", since: alarm.madeAt };
    this.#alarms.set(alarm.name, { alarm, standing });
  }

  /** At a full minute: looks at those whose time it is. */
  look(): void {
    const now = this.#cloud.clock.now();
    for (const { alarm, standing } of this.all) {
      if (!isDue(alarm, now)) continue;
      const outcome = outcomeOf(alarm, this.#metrics, now);
      const { state: value } = outcome;
      if (value === undefined) continue;
      const reason = reasonOf(alarm, outcome, standing.value, value);
      this.set(alarm.name, { value, reason, reasonData: reasonDataOf(alarm, outcome, now), since: now });
    }
  }

  /** Does nothing where it is in that state. @throws CallRefused where there is no such alarm. */
  set(name: string, standing: Standing): void {
    const entry = this.#alarms.get(name);
    if (entry === undefined) throw new CallRefused("ResourceNotFound", "there is no such alarm", 404);
    if (entry.standing.value === standing.value) return;
    const { alarm, standing: before } = entry;
    entry.standing = standing;
    const cloud = this.#cloud;
    cloud.note(`cloudwatch: ${name} is ${standing.value}: ${standing.reason}`);
    const change = { alarm, before, now: standing };
    cloud.goOn(cloud.publish(eventOf(change)));
    const message = messageOf(change, cloud.accountId, cloud.region);
    const topics = alarm.actionsEnabled ? alarm.actions[standing.value] : [];
    for (const topic of topics) cloud.goOn(this.#tell(alarm, topic, message));
  }

  async #tell(
    { name, arn }: Alarm,
    topic: string,
    { subject, text }: { readonly subject: string; readonly text: string },
  ): Promise<void> {
    try {
      await this.#cloud.deliver({
        to: topic,
        subject,
        payload: text,
        as: { kind: "service", service: "cloudwatch.amazonaws.com" },
        context: { "aws:SourceArn": arn, "aws:SourceAccount": this.#cloud.accountId },
      });
    } catch (error) {
      if (!(error instanceof CallRefused)) throw error;
      this.#cloud.note(`cloudwatch: ${name} could not tell ${topic}: ${error.code}: ${error.message}`);
    }
  }
}
