import { type ApiCall, CallRefused, type Cloud, type CloudEvent, refuseUnlessAllowed } from "../../service.ts";
import type { Json } from "../../template/assembly.ts";
import { onlyInput } from "../../understood.ts";

/** What became of an entry: an event with its time, or the error that PutEvents tells of it. */
export type Entry =
  | { readonly event: CloudEvent; readonly time: number }
  | { readonly ErrorCode: string; readonly ErrorMessage: string };

const members = ["Detail", "DetailType", "EventBusName", "Resources", "Source", "Time"];

/** Bytes that all entries of a call must be less than; "Calculating PutEvents event entry size" says what counts. */
const tooManyBytes = 256 * 1024;

/**
 * The entries of a call of PutEvents, in their order. Whether the caller may is asked entry by entry, for source and
 * type of its event. What is wrong with one does not keep the others back.
 *
 * @throws CallRefused for the whole call: too many entries or bytes, or one that the caller may not put.
 * @throws Error for a bus and for members that are not known here.
 */
export function entriesOf(
  cloud: Pick<Cloud, "allows" | "clock" | "region" | "accountId">,
  call: ApiCall,
): readonly Entry[] {
  onlyInput(call, ["Entries"]);
  const { operation, caller } = call;
  const { Entries } = call.input;
  if (!Array.isArray(Entries))
    throw invalid("Value null at 'entries' failed to satisfy constraint: Member must not be null");
  if (Entries.length < 1) throw invalid("'entries' must have length greater than or equal to 1");
  if (Entries.length > 10) throw invalid("'entries' must have length less than or equal to 10");
  const bytes = Entries.reduce((sum: number, each) => sum + sizeOf(each), 0);
  if (bytes >= tooManyBytes) throw invalid("Total size of the entries in the request is over the limit.");
  const arn = `arn:aws:events:${cloud.region}:${cloud.accountId}:event-bus/default`;
  return Entries.map((written) => {
    onlyInput({ operation, input: written }, members);
    const { Time, Source, Resources = [], DetailType, Detail, EventBusName = "default" } = written;
    if (EventBusName !== "default" && EventBusName !== arn)
      throw new Error(`no bus but the default one: ${EventBusName}`);
    const context = {
      ...(Source !== undefined && { "events:source": String(Source) }),
      ...(DetailType !== undefined && { "events:detail-type": String(DetailType) }),
    };
    const need = { action: "events:PutEvents", resource: arn, context };
    refuseUnlessAllowed(cloud, caller, need);
    const missing = Object.entries({ Source, DetailType, Detail }).find(([, value]) => !value);
    if (missing !== undefined) {
      const [name] = missing;
      return wrong("InvalidArgument", `Parameter ${name} is not valid. Reason: ${name} is a required argument.`);
    }
    if (/^aws\./i.test(Source)) return wrong("NotAuthorizedForSourceException", "Not authorized for the source.");
    const detail = objectOf(Detail);
    if (detail === undefined) return wrong("MalformedDetail", "Detail is malformed.");
    const time = Time === undefined ? cloud.clock.now() : timeOf(Time);
    return { time, event: { source: Source, "detail-type": DetailType, detail, resources: Resources } };
  });
}

function sizeOf({ Time, Source, DetailType, Detail, Resources = [] }: Record<string, unknown>): number {
  const texts = [Source, DetailType, Detail, ...(Resources as unknown[])].filter((each) => each !== undefined);
  return (Time === undefined ? 0 : 14) + texts.reduce<number>((sum, each) => sum + Buffer.byteLength(String(each)), 0);
}

/** Seconds since 1970, as JSON 1.1 has them. */
function timeOf(written: unknown): number {
  if (typeof written !== "number") throw new Error(`no time as it comes on the wire: ${String(written)}`);
  return written * 1000;
}

function objectOf(json: string): Json | undefined {
  try {
    const value = JSON.parse(json);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function wrong(ErrorCode: string, ErrorMessage: string): Entry {
  return { ErrorCode, ErrorMessage };
}

function invalid(message: string): CallRefused {
  return new CallRefused("ValidationException", `1 validation error detected: ${message}`);
}
