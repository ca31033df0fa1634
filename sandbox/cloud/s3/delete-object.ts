import { deleting } from "./access.ts";
import { malformedXml, S3Error } from "./errors.ts";
import { type Exchange, type Reply, xmlReply } from "./exchange.ts";
import { checkRemovable } from "./object-lock.ts";
import { childrenOf, element, textOf, xmlDocument } from "./xml.ts";

const mostKeys = 1000;

export async function deleteObject(exchange: Exchange): Promise<Reply> {
  const { call, bucket } = exchange;
  const { versionId, marker } = await erase(exchange, call.key, call.query.get("versionId"));
  return {
    status: 204,
    headers: {
      ...(marker && { "x-amz-delete-marker": "true" }),
      ...(versionId !== undefined && bucket.versioning !== undefined && { "x-amz-version-id": versionId }),
    },
  };
}

/** DeleteObjects: each row is judged and done for itself. */
export async function deleteObjects(exchange: Exchange): Promise<Reply> {
  const document = await exchange.document("Delete");
  const rows = childrenOf(document, ["Object", "Quiet"]).filter(({ name }) => name === "Object");
  const quiet = textOf(document, "Quiet") === "true";
  if (rows.length === 0 || rows.length > mostKeys) throw malformedXml();
  const results = [];
  for (const row of rows) {
    childrenOf(row, ["Key", "VersionId"]);
    const [key, asked] = [textOf(row, "Key"), textOf(row, "VersionId")];
    if (key === undefined || key === "") throw malformedXml();
    const named = [element("Key", key), element("VersionId", asked)];
    try {
      exchange.demand(deleting(exchange.call, key, asked));
      const { versionId, marker } = await erase(exchange, key, asked);
      if (quiet) continue;
      const made = marker && [element("DeleteMarker", true), element("DeleteMarkerVersionId", versionId)];
      results.push(element("Deleted", [...named, ...(made || [])]));
    } catch (error) {
      if (!(error instanceof S3Error)) throw error;
      results.push(element("Error", [...named, element("Code", error.code), element("Message", error.message)]));
    }
  }
  return xmlReply(xmlDocument("DeleteResult", results));
}

/**
 * Removes the version that is named; without a name, hides the key behind a delete marker (or, where versions are not
 * kept, removes it).
 *
 * @returns the marker that was made or removed (`marker`), or the version that was removed.
 */
async function erase({ call, bucket, world }: Exchange, key: string, versionId: string | undefined) {
  const { clock, rules } = world;
  const now = clock.now();
  if (versionId === undefined && bucket.versioning !== undefined && rules.versions) {
    const { version, replaced } = bucket.add(key, undefined, now);
    for (const each of replaced) await each.content?.body.remove();
    return { versionId: version.versionId, marker: true };
  }
  const version = versionId === undefined ? bucket.newest(key) : bucket.version(key, versionId);
  if (version === undefined) return { versionId, marker: false };
  if (version.content !== undefined) {
    const bypass = call.headers["x-amz-bypass-governance-retention"]?.toLowerCase() === "true";
    checkRemovable(version.content.lock, { now, bypass });
  }
  bucket.remove(version);
  await version.content?.body.remove();
  return { versionId: version.versionId, marker: version.content === undefined };
}
