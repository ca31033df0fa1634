import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Accounts, areComparable, compare, type Seen } from "../../../shipper/consistency/report.ts";

const accounts: Accounts = {
  mailboxes: ["alice@example.com", "Bob@Example.com"],
  domains: ["example.com", "example.org"],
  aliases: [["info@example.org", "alice@example.com"]],
};
const clean: Seen = { directories: ["alice@example.com", "bob@example.com"], queue: [], aliases: true };

/** What is found where nothing changes meanwhile. */
const found = (seen: Seen, more: Partial<Accounts> = {}) => {
  const all = { ...accounts, ...more };
  return compare(all, all, seen);
};
const nowhere = (...aliases: readonly (readonly [string, string])[]) =>
  found({ aliases: true }, { aliases }).flatMap(({ names }) => names);

test("a host on which everything fits together has no finding", () => {
  expect(found(clean)).toEqual([]);
  expect(found({})).toEqual([]);
});

test("a mailbox without a directory, and a directory without an account, are told by address", () => {
  expect(found({ ...clean, directories: ["carol@example.com", "ALICE@example.com"] })).toEqual([
    { code: "MAILBOX_WITHOUT_DIRECTORY", names: ["bob@example.com"] },
    { code: "DIRECTORY_WITHOUT_ACCOUNT", names: ["carol@example.com"] },
  ]);
});

describe("an alias leads to nowhere", () => {
  test.each([
    ["a mailbox that is not there", "gone@example.com"],
    ["a domain of ours that has no mailbox", "alice@example.org"],
    ["itself", "info@example.com"],
  ])("when it leads to %s", (_, destination) => {
    expect(nowhere(["Info@example.com", destination])).toEqual([`info@example.com → ${destination}`]);
  });

  test("for each of several destinations by itself", () => {
    const aliases = nowhere([
      "info@example.com",
      "alice@example.com, gone@example.com,lost@example.org , x@elsewhere.test",
    ]);
    expect(aliases).toEqual(["info@example.com → gone@example.com", "info@example.com → lost@example.org"]);
  });

  test("when a catch-all leads to what only it would catch", () => {
    expect(nowhere(["@example.org", "all@example.org"])).toEqual(["@example.org → all@example.org"]);
  });

  test.each([
    ["a mailbox, in any case of letters", "ALICE@Example.COM"],
    ["a mailbox with an extension", "alice+work+more@example.com"],
    ["another alias", "info@example.org"],
    ["another alias with an extension", "info+x@example.org"],
    ["somebody elsewhere", "gone@elsewhere.test"],
    ["a program", "|/usr/bin/vacation alice@example.com"],
    ["a file", "/dev/null@example.com"],
    ["a list to include", ":include:/etc/list@example.com"],
    ["the same name in another domain", "@example.com"],
    ["a name without a domain", "root"],
    ["nothing", ""],
  ])("not when it leads to %s", (_, destination) => {
    expect(nowhere(["sales@example.com", destination], ["info@example.org", "bob@example.com"])).toEqual([]);
  });

  test("not when another catch-all takes the destination", () => {
    expect(nowhere(["info@example.com", "gone@example.org"], ["@example.org", "alice@example.com"])).toEqual([]);
  });

  test("is not asked where aliases are not judged, or not known", () => {
    expect(found({ aliases: false }, { aliases: [["a@example.com", "gone@example.com"]] })).toEqual([]);
    expect(found({ aliases: true }, { aliases: undefined })).toEqual([]);
  });

  test("is judged by the domains of mailboxes and aliases where domains are not asked", () => {
    const aliases = [
      ["info@example.net", "gone@example.com"],
      ["x@example.net", "y@example.net"],
    ] as const;
    expect(found({ aliases: true }, { aliases, domains: undefined })).toEqual([
      { code: "ALIAS_TO_NOWHERE", names: ["info@example.net → gone@example.com", "x@example.net → y@example.net"] },
    ]);
  });
});

describe("a queue file", () => {
  const file = (sender: string, ...recipients: string[]) => [{ id: "4Bq", sender, recipients }];
  const strange = (queue: Seen["queue"], more: Partial<Seen> = {}) =>
    found({ queue, ...more }).flatMap(({ code, names }) => names.map((name) => `${code} ${name}`));

  test("is for an unknown domain when neither its sender nor any recipient is of a known one", () => {
    expect(strange(file("x@gone.test", "y@else.test", "z@ELSE.test"))).toEqual([
      "QUEUE_FOR_UNKNOWN_DOMAIN 4Bq: gone.test → else.test",
    ]);
  });

  test.each([
    ["goes out: its sender is ours", "alice@example.com", ["y@else.test"]],
    ["comes in: a recipient is ours", "x@else.test", ["y@gone.test", "Bob@EXAMPLE.com"]],
    ["is a bounce", "", ["y@else.test"]],
    ["is for an account of this machine", "x@gone.test", ["root"]],
    ["has no recipient left", "x@gone.test", []],
  ])("that %s is none", (_, sender, recipients) => {
    expect(strange(file(sender, ...recipients))).toEqual([]);
  });

  test("that an alias forwards is none, for it waits where the alias leads to", () => {
    const aliases = [["alice@example.org", "alice@home.test"]] as const;
    expect(found({ queue: file("x@else.test", "alice@home.test") }, { aliases })).toEqual([]);
  });

  test("of the host itself is none", () => {
    expect(strange(file("root@mx1.test", "me@else.test"), { postfixDomains: ["MX1.test"] })).toEqual([]);
  });
});

test("an account that came or went during the run is no finding, one that stayed is", () => {
  const later = { ...accounts, mailboxes: ["alice@example.com", "carol@example.com", "dave@example.com"] };
  // Bob was removed with his directory; Carol came with hers; Dave has none yet.
  expect(compare(accounts, later, { directories: ["alice@example.com", "carol@example.com"] })).toEqual([]);
  expect(compare(accounts, later, { directories: ["bob@example.com", "stray@example.com"] })).toEqual([
    { code: "MAILBOX_WITHOUT_DIRECTORY", names: ["alice@example.com"] },
    { code: "DIRECTORY_WITHOUT_ACCOUNT", names: ["stray@example.com"] },
  ]);
  const gone = { ...accounts, aliases: [["info@example.org", "gone@example.com"]] as const };
  expect(compare(gone, accounts, { aliases: true })).toEqual([]);
});

test("directories that name users can not be compared with accounts that name addresses", () => {
  expect(areComparable({ mailboxes: ["alice@example.com"] }, ["alice"])).toBe(false);
  expect(areComparable({ mailboxes: ["alice"] }, ["alice@example.com"])).toBe(false);
  expect(areComparable({ mailboxes: ["alice"] }, ["bob"])).toBe(true);
  expect(areComparable({ mailboxes: [] }, ["bob"])).toBe(true);
  expect(areComparable({ mailboxes: ["alice@example.com"] }, [])).toBe(true);
});

describe("for any host", () => {
  const address = fc
    .tuple(fc.constantFrom(..."abcdef"), fc.constantFrom("one.test", "two.test", "else.test"))
    .map((parts) => parts.join("@"));
  const addresses = fc.uniqueArray(address);
  const alias = fc.tuple(
    address,
    fc.array(address, { minLength: 1, maxLength: 3 }).map((all) => all.join(",")),
  );
  const anyAccounts = fc.record({
    mailboxes: addresses,
    domains: fc.constantFrom(undefined, ["one.test"], ["one.test", "two.test"]),
    aliases: fc.option(fc.array(alias), { nil: undefined }),
  });
  const message = fc.record({ id: fc.uuid(), sender: fc.oneof(fc.constant(""), address), recipients: addresses });
  const anySeen = fc.record({ directories: addresses, queue: fc.array(message), aliases: fc.boolean() });
  const namesOf = (before: Accounts, after: Accounts, seen: Seen) =>
    compare(before, after, seen).flatMap(({ code, names }) => names.map((name) => `${code} ${name}`));
  const shout = (accounts: Accounts): Accounts => ({
    mailboxes: accounts.mailboxes.map((each) => ` ${each.toUpperCase()} `),
    domains: accounts.domains?.map((each) => each.toUpperCase()),
    aliases: accounts.aliases?.map(
      ([source, destination]) => [source.toUpperCase(), destination.toUpperCase()] as const,
    ),
  });

  test("what is told was so before and after, and nothing that was so both times is left out", () => {
    fc.assert(
      fc.property(anyAccounts, anyAccounts, anySeen, (before, after, seen) => {
        const [then, now] = [namesOf(before, before, seen), namesOf(after, after, seen)];
        expect(namesOf(before, after, seen)).toEqual(then.filter((each) => now.includes(each)));
      }),
    );
  });

  test("directories and accounts are the same where nothing is told of them, and differ by exactly what is told", () => {
    fc.assert(
      fc.property(anyAccounts, addresses, (accounts, directories) => {
        const told = new Map(compare(accounts, accounts, { directories }).map(({ code, names }) => [code, names]));
        const missing = told.get("MAILBOX_WITHOUT_DIRECTORY") ?? [];
        const stray = told.get("DIRECTORY_WITHOUT_ACCOUNT") ?? [];
        const mended = [...directories.filter((each) => !stray.includes(each)), ...missing];
        expect(mended.toSorted()).toEqual(accounts.mailboxes.toSorted());
      }),
    );
  });

  test("neither the case of letters nor the order of rows matters", () => {
    fc.assert(
      fc.property(anyAccounts, anySeen, (accounts, seen) => {
        const turned: Accounts = {
          mailboxes: accounts.mailboxes.toReversed(),
          domains: accounts.domains?.toReversed(),
          aliases: accounts.aliases?.toReversed(),
        };
        expect(namesOf(shout(turned), turned, seen)).toEqual(namesOf(accounts, accounts, seen));
      }),
    );
  });

  test("no alias is told once its destination has a mailbox", () => {
    fc.assert(
      fc.property(anyAccounts, (accounts) => {
        const destinations = (accounts.aliases ?? []).flatMap(([, destination]) => destination.split(","));
        const mended = { ...accounts, mailboxes: [...accounts.mailboxes, ...destinations] };
        expect(compare(mended, mended, { aliases: true })).toEqual([]);
      }),
    );
  });
});
