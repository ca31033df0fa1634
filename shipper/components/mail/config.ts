import { z } from "zod";
import { safePath } from "../../../core/rows.ts";

/** Where the mail of a host is. */
export const mailConfig = z.strictObject({
  /** Absolute path of the directory that all mailboxes are below. */
  root: z.string().startsWith("/", "must be an absolute path"),
  /** Path of a mailbox below `root`: one `{…}` an element, `{user}` and `{domain}` make up its address. */
  layout: z
    .string()
    .default("{domain}/{user}")
    .refine((layout) => layout.split("/").every((element) => /^(\{[a-z]+\}|[A-Za-z0-9_-]+)$/.test(element)), {
      error: "must be elements separated by slashes, each a name or one of {domain}, {user}, {any}",
    })
    .refine((layout) => layout.includes("{user}"), { error: "must contain {user}" }),
  /** Whom restored mailboxes belong to; absent: whom they belonged to on the host. */
  owner: z.strictObject({ uid: z.int().nonnegative(), gid: z.int().nonnegative() }).optional(),
  /** Dovecot is asked for what it keeps in its index only. */
  doveadm: z
    .strictObject({
      /** Put before `doveadm`, to run it elsewhere: `["docker", "exec", "-i", "mail"]`. */
      command: z.array(z.string().min(1)).default([]),
      /** Auto: where Dovecot runs on this machine, or a command says where it does. */
      enabled: z.enum(["auto", "never"]).default("auto"),
    })
    .prefault({}),
});

export type MailConfig = z.infer<typeof mailConfig>;

/** The mail root as bytes in latin1, without a slash at its end. */
export const rootOf = ({ root }: MailConfig): string =>
  Buffer.from(root, "utf8").toString("latin1").replace(/\/+$/, "") || "/";

/** A mailbox by its path below the mail root, in latin1. */
export interface MailboxPlace {
  readonly path: string;
  readonly address?: string;
}

/** The address that a layout reads from a mailbox's path. */
export function placeOf(path: string, { layout }: MailConfig): MailboxPlace {
  const elements = safePath(path).split("/");
  const words = new Map(layout.split("/").map((word, index) => [word, elements[index]]));
  const user = words.get("{user}");
  const domain = words.get("{domain}");
  const address = domain === undefined ? user : `${user}@${domain}`;
  return { path, ...(address !== undefined && { address }) };
}
