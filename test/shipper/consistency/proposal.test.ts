import { expect, test } from "vitest";
import { accountsConfigSchema } from "../../../shipper/consistency/config.ts";
import { proposalOf } from "../../../shipper/consistency/proposal.ts";

const columns = (database: string, ...names: string[]) => names.map((name) => [database, name]);
const tutorial = (database: string) =>
  columns(
    database,
    "virtual_users.email",
    "virtual_users.password",
    "virtual_domains.name",
    "virtual_aliases.source",
    "virtual_aliases.destination",
  );
const postfixAdmin = columns(
  "postfix",
  "mailbox.username",
  "mailbox.maildir",
  "domain.domain",
  "alias.address",
  "alias.goto",
  "alias_domain.alias_domain",
  "alias_domain.target_domain",
);

test("the tables of the usual guides are known, beside databases that have nothing to do with mail", () => {
  expect(proposalOf([...columns("shop", "domain.name", "alias.id"), ...tutorial("mailserver")])).toEqual({
    component: "mysql",
    database: "mailserver",
    mailboxes: "SELECT email FROM virtual_users",
    domains: "SELECT name FROM virtual_domains",
    aliases: "SELECT source, destination FROM virtual_aliases",
  });
});

test("what is not there is not asked for", () => {
  expect(proposalOf(columns("mail", "virtual_users.email", "virtual_aliases.source"))).toEqual({
    component: "mysql",
    database: "mail",
    mailboxes: "SELECT email FROM virtual_users",
  });
});

test("those of PostfixAdmin are known, whole domains that stand for others among them", () => {
  const proposal = proposalOf(postfixAdmin);
  expect(accountsConfigSchema.parse(proposal)).toEqual(proposal);
  expect(proposal).toMatchObject({ database: "postfix", mailboxes: "SELECT username FROM mailbox" });
  expect(proposal?.aliases).toMatch(/^SELECT address, goto FROM alias UNION ALL SELECT .* FROM alias_domain$/);
});

test("nothing is proposed where there is nothing, or more than one to choose from", () => {
  expect(proposalOf([])).toBeUndefined();
  expect(proposalOf(columns("shop", "mailbox.username", "domain.domain"))).toBeUndefined();
  expect(proposalOf([...tutorial("mailserver"), ...postfixAdmin])).toBeUndefined();
});
