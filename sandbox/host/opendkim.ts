import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import { join } from "node:path";
import { accountFor } from "./account.ts";
import { answers, Daemon, serviceOf } from "./daemon.ts";
import { makeFolder, type Place, writeFileFor } from "./place.ts";
import { programPath } from "./programs.ts";
import type { Service } from "./service.ts";

/** OpenDKIM, signing what Postfix accepts from this machine. */
export interface Opendkim extends Service {
  readonly socket: string;
  readonly config: string;
  /** Holds `opendkim.conf`, the key and signing tables, and `keys/`. */
  readonly configDirectory: string;
  readonly log: string;
  /** The first domain that it signs for, with the selector and the private key (PEM). */
  readonly domain: "example.test";
  readonly selector: "mail";
  readonly privateKeyFile: string;
  /** The DNS record's `p=`: the public key, base64 of its DER. */
  readonly publicKey: string;
}

/** The host's own domain, and the first of its customers': one key for all. */
const signedDomains = ["example.test", "customer-1.test", "customer-2.test", "customer-3.test"];

/** Writes a key and the configuration, without starting the server. */
export async function prepareOpendkim(place: Place): Promise<Opendkim> {
  const { directory } = place;
  const account = accountFor("opendkim");
  const home = makeFolder(join(directory, "opendkim"), account, 0o755);
  const configDirectory = makeFolder(join(directory, "etc", "opendkim"), account, 0o755);
  const keys = makeFolder(join(configDirectory, "keys", "example.test"), account);
  makeFolder(join(configDirectory, "keys"), account);
  const pair = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
  const publicKey = createPublicKey(createPrivateKey(pair.privateKey)).export({ type: "spki", format: "der" });
  const privateKeyFile = writeFileFor(join(keys, "mail.private"), pair.privateKey, account);
  const keyTable = signedDomains
    .map((domain) => `mail._domainkey.${domain} ${domain}:mail:${privateKeyFile}\n`)
    .join("");
  const signingTable = signedDomains.map((domain) => `*@${domain} mail._domainkey.${domain}\n`).join("");
  const keyTablePath = writeFileFor(join(configDirectory, "key.table"), keyTable, account);
  const signingTablePath = writeFileFor(join(configDirectory, "signing.table"), signingTable, account);
  const socket = join(home, "opendkim.sock");
  const log = join(home, "opendkim.log");
  const config = writeFileFor(
    join(configDirectory, "opendkim.conf"),
    `Mode s
Canonicalization relaxed/simple
Socket local:${socket}
UMask 000
Syslog no
KeyTable ${keyTablePath}
SigningTable refile:${signingTablePath}
InternalHosts 127.0.0.1
RequireSafeKeys no
`,
    account,
    0o644,
  );
  const daemon = new Daemon({
    place,
    name: "OpenDKIM",
    account,
    cwd: home,
    log,
    command: [programPath("opendkim", "opendkim"), "-f", "-x", config],
    // It takes five seconds to leave when it is asked to, and holds nothing that could be lost.
    stopSignal: "SIGKILL",
    ready: () => answers({ path: socket }),
  });
  return serviceOf<Opendkim>(daemon, {
    socket,
    config,
    configDirectory,
    log,
    domain: "example.test",
    selector: "mail",
    privateKeyFile,
    publicKey: publicKey.toString("base64"),
  });
}
