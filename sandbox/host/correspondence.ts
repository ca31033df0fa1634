import type { SandboxHost } from "./host.ts";
import { type ImapSession, withMailbox } from "./imap.ts";
import { proseOf } from "./prose.ts";
import { seedOf } from "./seed.ts";
import { deliver, type Letter } from "./smtp.ts";

export interface CorrespondenceOptions {
  readonly seed: string;
  /** Who gets letters. Each must be a mailbox of the host already. */
  readonly addresses: readonly string[];
  /** Letters to each. Default: 12, which is also the least. */
  readonly letters?: number;
}

/** A folder with a name that is not ASCII, on two levels: `.Projekte.&ZeVnLA-` on the disk. */
export const unicodeFolder = "Projekte.日本";

/**
 * Real mail in real mailboxes: delivered by SMTP, then read, flagged, labelled, filed and partly deleted by IMAP, with folders
 * of which some are subscribed. The letters are the same for the same seed; ids and times of delivery are those of now.
 *
 * @throws Error when a letter or a command is refused.
 */
export async function correspond(host: SandboxHost, options: CorrespondenceOptions): Promise<void> {
  const { addresses } = options;
  const letters = Math.max(12, options.letters ?? 12);
  const seed = seedOf(options.seed);
  const prose = proseOf(seed.branch("prose"));
  const outgoing = addresses.flatMap((to) =>
    Array.from({ length: letters }, (_, index): Letter => {
      const attachment = { filename: "Anhang №1.bin", content: seed.bytes(3000 + seed.integer(20_000)) };
      return {
        from: "friend@example.test",
        to,
        subject: index % 3 === 0 ? `Grüße ✉ ${prose.words(3)}` : prose.words(5),
        text: Array.from({ length: 3 }, () => `${prose.words(30 + seed.integer(60))} 😀`).join("\n\n"),
        ...(index % 4 === 0 ? { attachments: [attachment] } : {}),
      };
    }),
  );
  await deliver(host, outgoing);
  for (const address of addresses) await withMailbox(host, address, handleMail);
}

async function handleMail(session: ImapSession): Promise<void> {
  for (const folder of ["Sent", "Entwürfe & mehr", "Archive.2025", unicodeFolder, "Empty"]) {
    await session.createFolder(folder);
  }
  for (const folder of ["Sent", unicodeFolder]) await session.subscribe(folder);
  const uids = await session.uids("INBOX");
  const at = (...places: number[]) => places.map((place) => uids[place]!);
  await session.addFlags("INBOX", at(0, 1, 2, 3, 4), ["\\Seen"]);
  await session.addFlags("INBOX", at(1, 3), ["\\Flagged", "\\Answered"]);
  await session.addFlags("INBOX", at(2, 5), ["$Important", "todo", "work"]);
  await session.copy("INBOX", at(0, 2), unicodeFolder);
  await session.move("INBOX", at(6, 7), "Archive.2025");
  await session.addFlags("Archive.2025", await session.uids("Archive.2025"), ["\\Seen", "project-x"]);
  await session.expunge("INBOX", at(8, 9));
  await session.append(
    "Sent",
    "From: me\r\nSubject: sent\r\n\r\nsent by me\r\n",
    ["\\Seen"],
    new Date("2025-03-04T05:06:07Z"),
  );
  await session.append("Entwürfe & mehr", "Subject: draft\r\n\r\nnot yet\r\n", ["\\Draft"]);
}
