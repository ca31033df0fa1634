import type { Component } from "../component.ts";
import { type BadMailbox, nameOf } from "./bad-mailbox.ts";
import { captureMail } from "./capture.ts";
import { checkMail } from "./check.ts";
import type { MailConfig } from "./config.ts";
import { diagnoseMail } from "./diagnose.ts";
import { contentsOf, estimateMail } from "./estimate.ts";
import { examineMail } from "./examine.ts";
import { mailFilling } from "./filling.ts";
import { selectMailboxes } from "./select.ts";
import { type StagedMail, stageMail } from "./stage.ts";

/** Mailboxes in Maildir, of Dovecot or any other server. */
export function mailComponent(config: MailConfig): Component<StagedMail> {
  return {
    name: "mail",
    diagnose: (world) => diagnoseMail(config, world),
    estimate: (world) => estimateMail(config, world),
    capture: (context) => captureMail(config, context),
    async plan(snapshot, selection) {
      const items = [];
      const failures: BadMailbox[] = [];
      for await (const mailbox of selectMailboxes(snapshot, selection, config)) {
        if ("error" in mailbox) {
          failures.push(mailbox);
          continue;
        }
        const { index } = mailbox;
        const bytes = [...index.messages.values(), ...index.files.values()].reduce(
          (sum, content) => sum + content.bytes,
          0,
        );
        const files = index.messages.size + index.files.size;
        items.push({ what: contentsOf(index.path, index.messages.size, index.folders.size), bytes, files });
      }
      if (items.length === 0 && failures[0]) throw failures[0].error;
      const unreadable = failures.map((failure) => `${nameOf(failure)}: unreadable, ${failure.error.message}`);
      return [...items, ...unreadable.map((what) => ({ what, bytes: 0 }))];
    },
    stage: (snapshot, place, selection, world) => stageMail(config, snapshot, place, selection, world),
    serviceDirectory: async () => config.root,
    filling: mailFilling(config),
    check: checkMail,
    examine: examineMail,
  };
}
