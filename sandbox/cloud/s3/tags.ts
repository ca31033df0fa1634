import { S3Error } from "./errors.ts";

/** The tags of the header `x-amz-tagging`, which is written like a query. */
export function tagsOfHeader(header: string | undefined): ReadonlyMap<string, string> {
  return checkedTags([...new URLSearchParams(header ?? "")]);
}

/** @throws S3Error when there are more than ten, one is there twice, or one is too long. */
export function checkedTags(pairs: readonly (readonly [string, string])[]): ReadonlyMap<string, string> {
  if (pairs.length > 10) throw new S3Error("InvalidTag", "Object tags cannot be greater than 10");
  const tags = new Map(pairs);
  if (tags.size < pairs.length) throw new S3Error("InvalidTag", "Cannot provide multiple Tags with the same key");
  for (const [key, value] of tags) {
    if (key === "" || key.length > 128) throw new S3Error("InvalidTag", "The TagKey you have provided is invalid");
    if (value.length > 256) throw new S3Error("InvalidTag", "The TagValue you have provided is invalid");
  }
  return tags;
}
