import type { Version } from "./bucket.ts";
import type { Content } from "./content.ts";
import { malformedXml, S3Error } from "./errors.ts";
import { type Exchange, type Reply, xmlReply } from "./exchange.ts";
import { chosenVersion, versionHeaders } from "./get-object.ts";
import { checkReplaceable, requireLock, retention } from "./object-lock.ts";
import { checkedTags } from "./tags.ts";
import { childrenOf, element, textOf, xmlDocument } from "./xml.ts";

/** The calls that read and change what may change of a version: its tags, its retention, its legal hold. */

export function getObjectTagging(exchange: Exchange): Reply {
  const { version, content } = chosen(exchange);
  const tags = [...content.tags].map(([key, value]) => element("Tag", [element("Key", key), element("Value", value)]));
  return xmlReply(xmlDocument("Tagging", [element("TagSet", tags)]), versionHeaders(exchange.bucket, version));
}

export async function putObjectTagging(exchange: Exchange): Promise<Reply> {
  const document = await exchange.document("Tagging");
  const [set, ...more] = childrenOf(document, ["TagSet"]);
  if (set === undefined || more.length > 0) throw malformedXml();
  const pairs = childrenOf(set, ["Tag"]).map((tag) => {
    childrenOf(tag, ["Key", "Value"]);
    const [key, value] = [textOf(tag, "Key"), textOf(tag, "Value")];
    if (key === undefined || value === undefined) throw malformedXml();
    return [key, value] as const;
  });
  const { version, content } = chosen(exchange);
  content.tags = checkedTags(pairs);
  return { status: 200, headers: versionHeaders(exchange.bucket, version) };
}

export function deleteObjectTagging(exchange: Exchange): Reply {
  const { version, content } = chosen(exchange);
  content.tags = new Map();
  return { status: 204, headers: versionHeaders(exchange.bucket, version) };
}

export function getObjectRetention(exchange: Exchange): Reply {
  const kept = locked(exchange).lock.retention;
  if (kept === undefined) throw noLock();
  return xmlReply(
    xmlDocument("Retention", [
      element("Mode", kept.mode),
      element("RetainUntilDate", new Date(kept.until).toISOString()),
    ]),
  );
}

export async function putObjectRetention(exchange: Exchange): Promise<Reply> {
  const document = await exchange.document("Retention");
  childrenOf(document, ["Mode", "RetainUntilDate"]);
  const [mode, until] = [textOf(document, "Mode"), textOf(document, "RetainUntilDate")];
  if ((mode === undefined) !== (until === undefined)) throw malformedXml();
  const now = exchange.world.clock.now();
  const content = locked(exchange);
  const next = mode === undefined ? undefined : retention(mode, until!, now);
  const bypass = exchange.call.headers["x-amz-bypass-governance-retention"]?.toLowerCase() === "true";
  checkReplaceable(content.lock.retention, next, { now, bypass });
  content.lock = { ...content.lock, retention: next };
  return { status: 200 };
}

export function getObjectLegalHold(exchange: Exchange): Reply {
  const { legalHold } = locked(exchange).lock;
  if (legalHold === undefined) throw noLock();
  return xmlReply(xmlDocument("LegalHold", [element("Status", legalHold ? "ON" : "OFF")]));
}

export async function putObjectLegalHold(exchange: Exchange): Promise<Reply> {
  const document = await exchange.document("LegalHold");
  childrenOf(document, ["Status"]);
  const status = textOf(document, "Status");
  if (status !== "ON" && status !== "OFF") throw malformedXml();
  const content = locked(exchange);
  content.lock = { ...content.lock, legalHold: status === "ON" };
  return { status: 200 };
}

function chosen(exchange: Exchange): { readonly version: Version; readonly content: Content } {
  const { call, bucket } = exchange;
  return chosenVersion(exchange, bucket, call.key, call.query.get("versionId"));
}

function locked(exchange: Exchange): Content {
  requireLock(exchange.bucket.lock);
  return chosen(exchange).content;
}

function noLock(): S3Error {
  return new S3Error("NoSuchObjectLockConfiguration", "The specified object does not have a ObjectLock configuration");
}
