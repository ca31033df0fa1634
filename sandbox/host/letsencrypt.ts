import { execFileSync } from "node:child_process";
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeFolder, type Place, writeFileFor } from "./place.ts";

/** How many days certificates are valid from now on; negative: they have expired. */
export interface LetsencryptOptions {
  readonly days?: number;
}

const domain = "mx.example.test";

/**
 * What certbot leaves on a host, with a chain of its own: `live/` with links into `archive/`, `renewal/`, `accounts/`. Owners, modes and links are
 * certbot's.
 *
 * @returns the directory, which takes the place of `/etc/letsencrypt`.
 */
export function makeLetsencrypt(
  { directory }: Pick<Place, "directory">,
  { days = 60 }: LetsencryptOptions = {},
): string {
  const top = makeFolder(join(directory, "etc", "letsencrypt"), undefined, 0o755);
  const archive = makeFolder(join(top, "archive", domain), undefined, 0o755);
  const live = makeFolder(join(top, "live", domain), undefined, 0o755);
  makeFolder(join(top, "archive"), undefined, 0o700);
  makeFolder(join(top, "live"), undefined, 0o700);
  for (const name of ["deploy", "post", "pre"]) makeFolder(join(top, "renewal-hooks", name), undefined, 0o755);

  const { leaf, issuer, key } = makeChain(days);
  const contents = { cert: leaf, chain: issuer, fullchain: leaf + issuer, privkey: key };
  for (const [name, content] of Object.entries(contents)) {
    writeFileFor(join(archive, `${name}1.pem`), content, undefined, name === "privkey" ? 0o600 : 0o644);
    symlinkSync(`../../archive/${domain}/${name}1.pem`, join(live, `${name}.pem`));
  }
  writeFileFor(join(live, "README"), "These files are links: do not move them.\n", undefined, 0o644);
  const paths = Object.keys(contents).map((name) => `${name} = ${join(live, `${name}.pem`)}\n`);
  const renewal = makeFolder(join(top, "renewal"), undefined, 0o755);
  writeFileFor(
    join(renewal, `${domain}.conf`),
    `${paths.join("")}[renewalparams]\nauthenticator = standalone\n`,
    undefined,
    0o644,
  );
  const account = join(top, "accounts", "acme-v02.api.letsencrypt.org", "directory", randomUUID().replaceAll("-", ""));
  mkdirSync(account, { recursive: true, mode: 0o700 });
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  writeFileFor(
    join(account, "private_key.json"),
    `${JSON.stringify(privateKey.export({ format: "jwk" }))}\n`,
    undefined,
    0o400,
  );
  writeFileFor(join(account, "regr.json"), "{}\n", undefined, 0o644);
  return top;
}

/** A certificate and the authority that signed it, by openssl: PEM. */
function makeChain(days: number): { readonly leaf: string; readonly issuer: string; readonly key: string } {
  const work = mkdtempSync(join(tmpdir(), "mailark-certificates-"));
  const openssl = (...args: readonly string[]) => execFileSync("openssl", args, { cwd: work, stdio: "pipe" });
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  try {
    openssl(
      "req",
      "-x509",
      ...curve,
      "-keyout",
      "ca.key",
      "-out",
      "ca.pem",
      "-days",
      "3650",
      "-subj",
      "/CN=Sandbox CA",
    );
    openssl("req", ...curve, "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", `/CN=${domain}`);
    writeFileSync(join(work, "names"), `subjectAltName=DNS:${domain}\nbasicConstraints=CA:FALSE\n`);
    const signed = [
      "-req",
      "-in",
      "leaf.csr",
      "-CA",
      "ca.pem",
      "-CAkey",
      "ca.key",
      "-CAcreateserial",
      "-out",
      "leaf.pem",
    ];
    openssl("x509", ...signed, "-days", String(days), "-extfile", "names");
    const [leaf, issuer, key] = ["leaf.pem", "ca.pem", "leaf.key"].map((name) =>
      readFileSync(join(work, name), "utf8"),
    );
    return { leaf: leaf!, issuer: issuer!, key: key! };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
