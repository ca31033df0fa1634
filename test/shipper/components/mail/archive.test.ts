import { Header } from "tar";
import { describe, expect, test } from "vitest";
import {
  endOfArchive,
  memberBytes,
  readArchive,
  writeMemberHeader,
} from "../../../../shipper/components/mail/archive.ts";
import { sha256Of } from "../../../fixtures/incremental.ts";

const block = 512;
const empty = Buffer.alloc(0);

function member(content: Buffer, name = sha256Of(content)): Buffer {
  const bytes = Buffer.alloc(memberBytes(content.length));
  writeMemberHeader(bytes, name, content.length);
  content.copy(bytes, block);
  return bytes;
}

/** A member without content, of any type. */
function special(type: "SymbolicLink" | "Link" | "Directory" | "FIFO", linkpath?: string): Buffer {
  const bytes = Buffer.alloc(block);
  new Header({ path: sha256Of(empty), size: 0, mode: 0o600, type, ...(linkpath && { linkpath }) }).encode(bytes);
  return bytes;
}

/** What an archive holds, as names and contents; `cut` says after how many bytes its stream is cut into pieces. */
async function contentsOf(archive: Buffer, cut = 700): Promise<Map<string, string>> {
  async function* pieces() {
    for (let at = 0; at < archive.length; at += cut) yield archive.subarray(at, at + cut);
  }
  const found = new Map<string, string>();
  for await (const { sha256, chunks } of readArchive(pieces())) {
    let text = "";
    for await (const chunk of chunks) text += chunk.toString("latin1");
    found.set(sha256, text);
  }
  return found;
}

describe("an archive", () => {
  const contents = ["one", "", "x".repeat(2000)];
  const members = contents.map((content) => member(Buffer.from(content)));
  const whole = Buffer.concat([...members, endOfArchive]);

  test("gives its contents, however its stream is cut", async () => {
    for (const cut of [1, 511, 512, 700, whole.length]) {
      expect([...(await contentsOf(whole, cut)).values()]).toEqual(contents);
    }
  });

  test("is refused wherever it is cut off", async () => {
    for (let bytes = 0; bytes < whole.length; bytes += 64) {
      await expect(contentsOf(whole.subarray(0, bytes)), `${bytes} bytes`).rejects.toMatchObject({
        code: "OBJECT_CORRUPT",
      });
    }
  });

  const damaged = member(Buffer.from("one"));
  // A digit of the time, which means nothing.
  damaged[140]! ^= 1;
  test.each<[string, readonly Buffer[]]>([
    ["a link named by a hash", [special("SymbolicLink", "/etc/passwd"), endOfArchive]],
    ["a hard link named by a hash", [special("Link", "other"), endOfArchive]],
    ["a directory named by a hash", [special("Directory"), endOfArchive]],
    ["a pipe named by a hash", [special("FIFO"), endOfArchive]],
    ["a name that is no hash", [member(Buffer.from("one"), "../../one"), endOfArchive]],
    ["a content that is not what its name says", [member(Buffer.from("one"), sha256Of(empty)), endOfArchive]],
    ["a damaged header", [damaged, endOfArchive]],
    ["a single block of zeros before its end", [Buffer.alloc(block), member(empty), endOfArchive]],
    ["something after its end", [whole, Buffer.alloc(block), Buffer.from("x")]],
  ])("with %s is refused", async (_, pieces) => {
    await expect(contentsOf(Buffer.concat(pieces))).rejects.toMatchObject({ code: "OBJECT_CORRUPT" });
  });
});
