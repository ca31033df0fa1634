import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { createTransport } from "nodemailer";
import { describe, expect, test } from "vitest";
import { signaturesOf } from "../../../../shipper/drill/whole-host/dkim-signature.ts";

/** RFC 8463, appendix A.3: the message and its Ed25519 signature. */
const published = `DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.

`.replaceAll("\n", "\r\n");

/** The bare 32 bytes of appendix A.2, as a key. */
const publishedKey = createPublicKey({
  key: Buffer.concat([
    Buffer.from("302a300506032b6570032100", "hex"),
    Buffer.from("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "base64"),
  ]),
  format: "der",
  type: "spki",
});

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });

/** Signed by another implementation than the product's. */
async function signedByNodemailer(text: string): Promise<string> {
  const transport = createTransport({ streamTransport: true, buffer: true, newline: "windows" });
  const { message } = await transport.sendMail({
    from: "a@example.test",
    to: "b@example.test",
    subject: "a  subject \t with blanks",
    text,
    dkim: {
      domainName: "example.test",
      keySelector: "mail",
      privateKey: rsa.privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
    },
  });
  return (message as Buffer).toString("latin1");
}

const problem = (message: string, key = publishedKey) =>
  signaturesOf(Buffer.from(message, "latin1"))[0]!.problemWith(key);

describe("a DKIM signature", () => {
  test("of the standard's example holds with the standard's key", () => {
    const [signature] = signaturesOf(Buffer.from(published, "latin1"));
    expect(signature).toMatchObject({ domain: "football.example.com", selector: "brisbane" });
    expect(signature!.problemWith(publishedKey)).toBeUndefined();
  });

  test.each([
    ["a letter of the text", "dinner ready?", "dinner done?", "header"],
    ["a letter of the body", "hungry", "thirsty", "body"],
    ["the sender", "Joe SixPack", "Jim SixPack", "header"],
    ["another algorithm", "ed25519-sha256", "ed25519-sha1", "algorithm"],
  ])("does not hold when %s changes", (_, from, to, what) => {
    expect(problem(published.replace(from, to))).toContain(what);
  });

  test("does not mind how lines are folded and blanks doubled where it is relaxed", () => {
    expect(problem(published.replace("Is dinner ready?", "Is\r\n  dinner   ready?"))).toBeUndefined();
    expect(problem(published.replace("We lost the game.", "We lost\tthe game. "))).toBeUndefined();
  });

  test("of RSA holds with its own key and with no other", async () => {
    const message = await signedByNodemailer("one\r\n\r\ntwo  blanks \r\n\r\n\r\n");
    expect(problem(message, rsa.publicKey)).toBeUndefined();
    expect(problem(message, generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey)).toContain("header");
    expect(problem(message, publishedKey)).toContain("key is ed25519");
  });

  test("is not there where there is none", () => {
    expect(signaturesOf(Buffer.from("From: a\r\n\r\nDKIM-Signature: v=1\r\n"))).toEqual([]);
    expect(signaturesOf(Buffer.alloc(0))).toEqual([]);
  });
});
