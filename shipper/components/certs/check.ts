/** Looks at staged certificates as a server would that is to use them. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { dirname, resolve } from "node:path/posix";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import { pathText } from "../byte-path.ts";
import type { Check, World } from "../component.ts";
import { listed } from "../tree/check-tree.ts";
import type { StagedTree } from "../tree/staged-tree.ts";
import { TreeView } from "../tree/tree-view.ts";

/** One check for each directory with certificates, one for all links and one for the modes of all keys. */
export async function checkCertificates(staged: StagedTree, world: World, snapshot: SnapshotReader): Promise<Check[]> {
  const view = new TreeView(staged, world.files);
  const capturedAt = Date.parse(snapshot.manifest.cutAt);
  const named = view.paths.filter((path) => /\/(cert|fullchain)\.pem$/.test(path));
  const directories = [...new Set(named.map((path) => dirname(path)))];
  const lineages = directories.map((directory) => checkLineage(view, directory, capturedAt, world.clock.now()));
  return [...lineages, checkLinks(view, staged), checkKeyModes(view)];
}

/** `cert.pem`, `chain.pem`, `fullchain.pem` and `privkey.pem` of one directory. */
function checkLineage(view: TreeView, directory: string, capturedAt: number, now: number): Check {
  const name = `certificate ${pathText(directory)}`;
  const failed = (detail: string): Check => ({ name, outcome: "failed", detail });
  const files = ["fullchain.pem", "cert.pem"].map((file) => `${directory}/${file}`);
  const chains: X509Certificate[][] = [];
  for (const file of files.filter((path) => view.paths.includes(path))) {
    const text = view.read(file)?.toString("latin1");
    if (text === undefined) return failed(`${pathText(file)} leads to nothing that was captured`);
    try {
      chains.push(certificatesIn(text));
    } catch {
      return failed(`${pathText(file)} is no certificate`);
    }
  }
  const [chain = [], other] = chains;
  const [leaf] = chain;
  if (leaf === undefined) return failed("holds no certificate");
  if (other && other[0]?.fingerprint256 !== leaf.fingerprint256)
    return failed("cert.pem is not the first of fullchain.pem");
  const broken = chain.findIndex((certificate, index) => {
    const issuer = chain[index + 1];
    return issuer !== undefined && !(certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey));
  });
  if (broken !== -1) return failed(`certificate ${broken + 2} of the chain did not sign the one before it`);
  const key = view.read(`${directory}/privkey.pem`);
  if (key === undefined) return { name, outcome: "unproven", detail: "no privkey.pem was captured beside it" };
  try {
    if (!leaf.checkPrivateKey(createPrivateKey(key))) return failed("privkey.pem is the key of another certificate");
  } catch {
    return failed("privkey.pem is no key, or needs a passphrase");
  }
  const until = Date.parse(leaf.validTo);
  const subject = leaf.subjectAltName ?? leaf.subject;
  const day = new Date(until).toISOString().slice(0, 10);
  if (until <= now && until > capturedAt) {
    return {
      name,
      outcome: "unproven",
      detail: `${subject}: expired on ${day}, after the capture; renew it (certbot renew)`,
    };
  }
  const validity = until <= now ? `had expired already when it was captured (${day})` : `valid until ${day}`;
  return {
    name,
    outcome: "passed",
    detail: `${subject}: ${chain.length} in the chain, the key is its own, ${validity}`,
  };
}

function certificatesIn(text: string): X509Certificate[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}

/** A link out of what was captured, or asked for, can not be judged here. */
function checkLinks(view: TreeView, { facts, wanted }: StagedTree): Check {
  const links = view.paths.filter((path) => view.entry(path)?.kind === "symlink");
  const dangling = links.filter((path) => view.resolve(path) === undefined);
  const name = "links";
  if (dangling.length === 0) return { name, outcome: "passed", detail: `${links.length} lead to what was captured` };
  const detail = `lead to nothing that is here: ${listed(dangling.map(pathText))}`;
  const isWhole = facts.roots.every((root) => wanted.includes(root));
  const leadsOut = (path: string) => {
    const target = resolve(dirname(path), view.entry(path)!.target);
    return !facts.roots.some((root) => target.startsWith(`/${root}/`));
  };
  return { name, outcome: isWhole && !dangling.every(leadsOut) ? "failed" : "unproven", detail };
}

/** A key that everybody can read was so on the host: that is said, and does not keep it from coming back. */
function checkKeyModes(view: TreeView): Check {
  const keys = view.paths.filter((path) => /\/privkey[^/]*\.pem$|\/private_key\.json$/.test(path));
  const open = keys.filter((path) => {
    const mode = view.entry(path)?.kind === "file" ? view.entry(path)!.mode : 0;
    return (mode & 0o004) !== 0 && view.parents(path).every((parent) => (parent.mode & 0o001) !== 0);
  });
  const name = "private keys";
  if (open.length > 0) {
    return {
      name,
      outcome: "unproven",
      detail: `everybody on the host can read ${listed(open.map(pathText))}: chmod 600`,
    };
  }
  return { name, outcome: "passed", detail: `${keys.length} can not be read by everybody` };
}
