import { createHash } from "node:crypto";
import { CallRefused } from "../../service.ts";

/** A part of a list, and what asks for the next one. A token is good for the same question only. */
export function page<T>(
  items: readonly T[],
  { MaxResults, NextToken, ...question }: { readonly MaxResults: number; readonly NextToken?: string | undefined },
): { readonly items: readonly T[]; readonly more: { readonly NextToken?: string } } {
  const of = createHash("sha256").update(JSON.stringify(question)).digest("hex").slice(0, 16);
  const token = (start: number) => Buffer.from(`${of}/${start}`).toString("base64url");
  const [asked, text = ""] = Buffer.from(NextToken ?? token(0), "base64url")
    .toString()
    .split("/");
  if (asked !== of || !/^\d+$/.test(text)) throw new CallRefused("InvalidNextToken", "the token is of another list");
  const end = Number(text) + MaxResults;
  return { items: items.slice(Number(text), end), more: end < items.length ? { NextToken: token(end) } : {} };
}
