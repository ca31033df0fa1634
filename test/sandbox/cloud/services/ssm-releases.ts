import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, cpSync, mkdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import { dirname, join } from "node:path";
import { listening } from "../../../../sandbox/cloud/listening.ts";
import { ownDirectory } from "../../../fixtures/scratch.ts";

/** Archives of mailark, and a server that has them. */
export interface Releases {
  /** Certificate of the authority that curl is to believe. */
  readonly authority: string;
  /** This program under another version; its packages are a link to those that are here. */
  whole(version: string): Buffer;
  /** As large as it must be to be tried, which takes less time. */
  small(version: string, without?: readonly string[]): Buffer;
  /** Parameters of the document for what is served from now on. */
  serve(archive: Buffer): { readonly Url: string; readonly Sha256: string };
  close(): Promise<void>;
}

export const sha256Of = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

export async function startReleases(): Promise<Releases> {
  const { path, remove } = ownDirectory();
  const openssl = (...words: readonly string[]) => execFileSync("openssl", words, { cwd: path, stdio: "pipe" });
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  openssl(
    ...["req", "-x509", ...kind, "-keyout", "key", "-out", "certificate", "-days", "2"],
    ...["-subj", "/CN=releases", "-addext", "subjectAltName=IP:127.0.0.1"],
  );
  const served = new Map<string, Buffer>();
  const [key, cert] = ["key", "certificate"].map((name) => readFileSync(join(path, name)));
  const server = createServer({ key, cert }, ({ url = "" }, response) => {
    const found = served.get(url);
    response.writeHead(found === undefined ? 404 : 200).end(found);
  });
  const { authority, close } = await listening(server);

  function treeOf(version: string): string {
    const tree = join(path, version, "mailark");
    mkdirSync(tree, { recursive: true });
    symlinkSync(realpathSync(inRepository("node_modules")), join(tree, "node_modules"));
    return tree;
  }
  const pack = (tree: string) =>
    execFileSync("tar", ["--create", "--gzip", "mailark"], { cwd: dirname(tree), maxBuffer });

  return {
    authority: join(path, "certificate"),
    whole(version) {
      const tree = treeOf(version);
      for (const each of ["core", "shipper", "docs"]) cpSync(inRepository(each), join(tree, each), { recursive: true });
      const manifest = { ...JSON.parse(readFileSync(inRepository("package.json"), "utf8")), version };
      // As whoever made the archive had it.
      writeFileSync(join(tree, "package.json"), JSON.stringify(manifest));
      chmodSync(join(tree, "package.json"), 0o666);
      return pack(tree);
    },
    small(version, without = []) {
      const tree = treeOf(version);
      mkdirSync(join(tree, "shipper"));
      const files = { "mailark.ts": 'await import("./main.ts");', "main.ts": `console.log("${version}");` };
      for (const [name, text] of Object.entries(files)) {
        if (!without.includes(name)) writeFileSync(join(tree, "shipper", name), text);
      }
      return pack(tree);
    },
    serve(archive) {
      const Sha256 = sha256Of(archive);
      served.set(`/${Sha256}.tar.gz`, archive);
      return { Url: `https://${authority}/${Sha256}.tar.gz`, Sha256 };
    },
    async close() {
      await close();
      remove();
    },
  };
}

const maxBuffer = 64 * 1024 * 1024;
const inRepository = (path: string) => new URL(`../../../../${path}`, import.meta.url).pathname;
