import { describe, expect, test } from "vitest";
import { z } from "zod";
import { parseS3Url } from "../../../core/stores/s3-url.ts";
import { configSchema } from "../../../shipper/config.ts";
import { parseYaml } from "../../../shipper/config-text.ts";
import { placeOf, storeIdentity } from "../../../shipper/store-url.ts";

const { store } = configSchema.shape;

describe("the URL of a store in S3", () => {
  test("says bucket, prefix and region; what it does not say is as AWS has it", () => {
    expect(parseS3Url("s3://backups/mail/eu/?region=eu-central-1")).toEqual({
      bucket: "backups",
      keyringBucket: undefined,
      prefix: "mail/eu/",
      endpoint: undefined,
      region: "eu-central-1",
      pathStyle: false,
      storageClass: undefined,
      kmsKey: undefined,
      checksum: "crc64nvme",
      conditional: true,
    });
  });

  test("says how another provider is reached and what it can not", () => {
    const kmsKey = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    const settings = `endpoint=https://s3.example.com:9000&storage-class=STANDARD_IA&kms-key=${kmsKey}&checksum=md5&conditional=false`;
    expect(parseS3Url(`s3://backups?${settings}`)).toEqual({
      bucket: "backups",
      keyringBucket: undefined,
      prefix: "",
      endpoint: "https://s3.example.com:9000",
      region: "us-east-1",
      pathStyle: true,
      storageClass: "STANDARD_IA",
      kmsKey,
      checksum: "md5",
      conditional: false,
    });
    expect(parseS3Url("s3://backups?endpoint=https://s3.example.com&path-style=false").pathStyle).toBe(false);
  });

  test("may say that it knows hosts by their credentials, in one way", () => {
    expect(parseS3Url("s3://data?region=r&host-id=sts").hostId).toBe("sts");
    expect(parseS3Url("s3://data?region=r").hostId).toBeUndefined();
    expect(() => parseS3Url("s3://data?region=r&host-id=mail-1")).toThrow(
      "host-id in the URL of the store must be sts",
    );
  });

  test("may name another bucket for the keyring", () => {
    expect(parseS3Url("s3://data?region=r&keyring=keys").keyringBucket).toBe("keys");
  });

  test.each([
    ["a keyring that is no bucket", "s3://backups?region=r&keyring=Keys_1", /keyring .* no other bucket/],
    ["a keyring in the same bucket", "s3://backups?region=r&keyring=backups", /keyring .* no other bucket/],
    ["no bucket", "s3:///prefix?region=r", /names no bucket/],
    ["a bucket that can not be one", "s3://Backups_1?region=r", /names no bucket/],
    ["a fragment", "s3://backups?region=r#x", /names no bucket/],
    ["a port", "s3://backups:9000?region=r", /credentials or a port/],
    ["credentials", "s3://AKIAEXAMPLE:hunter2@backups?region=r", /credentials or a port/],
    ["a prefix that leads out", "s3://backups/../other?region=r", /prefix/],
    ["a prefix with what no key has", "s3://backups/a%20b?region=r", /prefix/],
    ["no region", "s3://backups", /no region/],
    ["a region that is none", "s3://backups?region=EU", /no region/],
    ["a setting that there is not", "s3://backups?region=r&secret=hunter2", /a setting that there is not: "secret"/],
    ["a setting twice", "s3://backups?region=r&region=s", /says region twice/],
    ["a setting without a value", "s3://backups?region=", /region .* is empty/],
    ["an endpoint that is no URL", "s3://backups?endpoint=s3.example.com", /endpoint/],
    ["an endpoint with a path", "s3://backups?endpoint=https://s3.example.com/x", /endpoint/],
    ["an endpoint with a password", "s3://backups?endpoint=https://a:hunter2@s3.example.com", /endpoint/],
    ["an endpoint of another kind", "s3://backups?endpoint=ftp://s3.example.com", /endpoint/],
    ["a word for yes", "s3://backups?region=r&path-style=yes", /path-style .* true or false/],
    ["a checksum that is none", "s3://backups?region=r&checksum=sha1", /checksum .* crc64nvme or md5/],
    ["a storage class that is none", "s3://backups?region=r&storage-class=cold", /storage-class/],
    ["an archive", "s3://backups?region=r&storage-class=DEEP_ARCHIVE", /can not be read when it is needed/],
    ["a key that is none", "s3://backups?region=r&kms-key=a'b", /kms-key/],
  ])("is refused with %s, in one message with the fix and without what may be secret", (_, url, message) => {
    let error: unknown;
    try {
      parseS3Url(url);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({
      code: "ARGUMENT_INVALID",
      message: expect.stringMatching(message),
      hint: expect.any(String),
    });
    expect(JSON.stringify([error, (error as Error).message])).not.toContain("hunter2");
  });

  test.each([
    "https://user:hunter2@s3.example.com/b",
    "https://user:TOP/hunter2@s3.example.com/b",
    "https://user:p@ss/hunter2@s3.example.com/b",
    "user:TOP/hunter2@s3.example.com/b",
    "https://s3.example.com/b?X-Amz-Signature=hunter2",
  ])("is refused without its password where it is no URL of a store: %s", (url) => {
    const refusal = (work: () => unknown) => {
      try {
        work();
      } catch (error) {
        return JSON.stringify([error, (error as Error).message]);
      }
      return undefined;
    };
    const parsed = () => parseYaml(`store: ${JSON.stringify(url)}`, "c.yaml", z.strictObject({ store }));
    for (const work of [() => placeOf(url), parsed]) {
      expect(refusal(work)).toContain("give a directory as file:///DIR");
      expect(refusal(work)).not.toMatch(/hunter2|TOP/);
    }
  });

  test("of which a setting is wrong is not repeated by what is said of a configuration", () => {
    const parsed = () =>
      parseYaml('store: "s3://backups/p?region=r&kms-key=hunter;2"', "c.yaml", z.strictObject({ store }));
    expect(parsed).toThrow(
      expect.objectContaining({ detail: expect.stringMatching(/^c.yaml:1:8: store: give the ARN/) }),
    );
    expect(parsed).not.toThrow(expect.objectContaining({ detail: expect.stringContaining("hunter") }));
  });

  test("names the same store however it is reached and whatever it is asked for", () => {
    const same = ["s3://b/p?region=r", "s3://b/p/?region=s&storage-class=STANDARD_IA", "s3://b/p"];
    expect(new Set(same.map(storeIdentity)).size).toBe(1);
    const others = ["s3://b/p", "s3://b/q", "s3://c/p", "s3://b/p?endpoint=https://a", "file:///b/p"];
    expect(new Set(others.map(storeIdentity)).size).toBe(others.length);
  });
});
