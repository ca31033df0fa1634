import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { complaintOf, type NamedTest } from "../guards/guard.ts";
import { guards } from "../guards/guards.ts";
import { repository } from "./source-files.ts";

const read = (path: string) => (existsSync(join(repository, path)) ? readFileSync(join(repository, path), "utf8") : "");

describe("the list of guards", () => {
  test("has every list that somebody wrote", async () => {
    const folder = join(repository, "test/guards");
    const lists = readdirSync(folder).filter((name) => /^export const \w+Guards\b/m.test(read(`test/guards/${name}`)));
    for (const name of lists) {
      const written = Object.values(await import(join(folder, name)))
        .filter(Array.isArray)
        .flat();
      expect(
        written.filter((each) => !guards.includes(each)),
        name,
      ).toEqual([]);
    }
    expect(lists.length).toBeGreaterThan(20);
  });

  test("fits the product: each text occurs once, and is replaced by another", () => {
    const wrong = guards.flatMap((guard) => {
      const complaint = complaintOf(guard, read(guard.file));
      return complaint === undefined ? [] : [`${guard.file}: ${guard.guard}: ${complaint}`];
    });
    expect(wrong).toEqual([]);
  });

  test("names tests that there are", () => {
    const wrong = guards.filter(({ test }) => !exists(test)).map(({ test: { file, name } }) => `${file}: ${name}`);
    expect(wrong).toEqual([]);
  });

  test("says what is guarded, each in words of its own", () => {
    const words = guards.map(({ guard }) => guard);
    expect(words.filter((each, index) => words.indexOf(each) !== index)).toEqual([]);
    expect(guards.length).toBeGreaterThan(40);
  });
});

/** The name stands as a text in the file, or in a suite that the file takes in. */
function exists({ file, name }: NamedTest): boolean {
  const text = read(file);
  const suites = [...text.matchAll(/from "(\.[^"]+)"/g)].map(([, path = ""]) => join(dirname(file), path));
  return [text, ...suites.filter((path) => path.startsWith("test/")).map(read)].some((each) =>
    ['"', "`", "'"].some((quote) => each.includes(`${quote}${name}${quote}`)),
  );
}
