/** Names the spans of time of which one snapshot each is kept. */
export type Span = "hourly" | "daily" | "weekly" | "monthly" | "yearly";

/** Why one snapshot is kept or expires. {@link explainReason} says it in words. */
export type Reason =
  /** A legal hold covers it. */
  | { readonly rule: "hold"; readonly hold: string }
  /** The newest good snapshot of its component. */
  | { readonly rule: "last-good" }
  /** Its component has no good snapshot, and this is the best there is. */
  | { readonly rule: "last-resort" }
  /** The newest by the host's own time, though another was received later. */
  | { readonly rule: "newest" }
  /** The newest one that a drill restored; `drilledAt` in milliseconds since 1970. */
  | { readonly rule: "drilled"; readonly drilledAt: number }
  /** Its receipt time lies ahead of the present or is none. */
  | { readonly rule: "clock" }
  /** It was the newest one within the last two days: a run under way may build on it. */
  | { readonly rule: "base" }
  /** Nobody has judged it yet. */
  | { readonly rule: "unverified" }
  /** It is bad, and kept for a while for whoever looks into it, or until the verdict is corrected. */
  | { readonly rule: "evidence" }
  | { readonly rule: "within"; readonly days: number }
  /** `place` counts from 1, the newest. */
  | { readonly rule: "last"; readonly place: number }
  | { readonly rule: Span; readonly bucket: string }
  /** Older than the maximum: why it expires or, with a warning, what was overruled to keep it. */
  | { readonly rule: "maximum-age"; readonly days: number; readonly warning?: string }
  /** It is bad, so no rule may keep it any longer. */
  | { readonly rule: "bad" }
  /** No rule asks for it. */
  | { readonly rule: "no-rule" }
  /** It would expire, if the host's plan were not stopped or refused; its other reasons say why it would. */
  | { readonly rule: "withheld" };

/** The reason as half a sentence for an operator: lower case, no full stop. */
export function explainReason(reason: Reason): string {
  switch (reason.rule) {
    case "hold":
      return `legal hold "${reason.hold}"`;
    case "last-good":
      return "last good snapshot of this component";
    case "last-resort":
      return "best snapshot of a component that has no good one";
    case "newest":
      return "newest by its own time; older ones were copied here after it";
    case "drilled":
      return `newest snapshot that a drill restored, on ${new Date(reason.drilledAt).toISOString().slice(0, 10)}`;
    case "clock":
      return "received at a time that has not come yet: check the clocks";
    case "base":
      return "newest one within the last two days, so a run under way may build on it";
    case "unverified":
      return "not verified yet";
    case "evidence":
      return "bad, and kept for 14 days as evidence";
    case "within":
      return `younger than ${reason.days} days`;
    case "last":
      return `number ${reason.place} of the last ones`;
    case "hourly":
    case "daily":
    case "weekly":
    case "monthly":
    case "yearly":
      return `${reason.rule} snapshot of ${reason.bucket}`;
    case "maximum-age":
      return reason.warning ?? `older than the maximum of ${reason.days} days`;
    case "bad":
      return "bad, and no longer needed as evidence";
    case "no-rule":
      return "no rule of the policy asks for it";
    case "withheld":
      return "kept because this host's expiry does not take place";
  }
}
