import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { FunctionSettings } from "./function-settings.ts";

interface Assets {
  readonly files: Readonly<
    Record<
      string,
      {
        readonly source: { readonly path?: string; readonly packaging?: string };
        readonly destinations: Readonly<Record<string, { readonly bucketName: string; readonly objectKey: string }>>;
      }
    >
  >;
}

/**
 * Lays a function's code down where it runs: the files of its asset as they were synthesized, out of reach of any `package.json` above them, which would
 * say how to read them.
 *
 * @throws Error where no asset of the assembly is uploaded to the place that the function names.
 */
export function layDown({ code, name }: FunctionSettings, assembly: string, directory: string): void {
  mkdirSync(directory, { recursive: true });
  if ("ZipFile" in code) {
    // Of code in the template Lambda makes this file ("AWS::Lambda::Function Code").
    writeFileSync(join(directory, "index.js"), code.ZipFile);
    return;
  }
  const source = assetsOf(assembly).find(({ destinations }) =>
    Object.values(destinations).some(
      ({ bucketName, objectKey }) => bucketName === code.S3Bucket && objectKey === code.S3Key,
    ),
  )?.source;
  const path = source?.path === undefined ? undefined : join(assembly, source.path);
  if (path === undefined || source?.packaging !== "zip" || !statSync(path).isDirectory()) {
    throw new Error(`${name}: no directory of the assembly becomes s3://${code.S3Bucket}/${code.S3Key}`);
  }
  cpSync(path, directory, { recursive: true });
}

function assetsOf(assembly: string): readonly Assets["files"][string][] {
  return readdirSync(assembly)
    .filter((name) => name.endsWith(".assets.json"))
    .flatMap((name) => Object.values((JSON.parse(readFileSync(join(assembly, name), "utf8")) as Assets).files));
}
