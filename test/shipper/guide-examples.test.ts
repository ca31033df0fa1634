import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { z } from "zod";
import { s3Parameters } from "../../core/stores/s3-url.ts";
import { configSchema } from "../../shipper/config.ts";
import { parseYaml } from "../../shipper/config-text.ts";

const page = (name: string) => readFileSync(new URL(`../../docs/${name}`, import.meta.url), "utf8");
const { components } = configSchema.shape;

test("the guide's configuration of a system in docker compose is taken as it stands", () => {
  const [, text = ""] = /## Services in containers\n.*?\n```yaml\n(.*?)```/s.exec(page("guide.md")) ?? [];
  const parsed = parseYaml(text, "guide.md", z.strictObject({ components }));
  expect(Object.keys(parsed.components).toSorted()).toEqual(["certs", "configs", "mail", "postgres", "queue", "redis"]);
});

test("so is what the page on restores has for the queue of a container that is stopped", () => {
  const [, text = ""] = /## Services in containers\n.*?\n {2}```yaml\n(.*?) {2}```/s.exec(page("restore.md")) ?? [];
  const wrapped = `components:\n${text}`;
  const parsed = parseYaml(wrapped, "restore.md", z.strictObject({ components }));
  expect(parsed.components.queue?.command).toContain("--entrypoint=env");
});

test("so are the rules of what expires", () => {
  const [, text = ""] = /## What expires\n.*?```yaml\n(.*?)```/s.exec(page("guide.md")) ?? [];
  const [store] = parseYaml(text, "guide.md", z.strictObject({ stores: configSchema.shape.stores })).stores ?? [];
  expect(store).toMatchObject({ retention: { daily: 7, monthly: 12, components: { mail: { daily: 30 } } } });
});

test("so is the store in S3, with everything that its table names", () => {
  const [, section = ""] = /## A store in S3\n(.*?)\n## /s.exec(page("guide.md")) ?? [];
  const [, text = ""] = /```yaml\n(.*?)```/s.exec(section) ?? [];
  const { store, bandwidthLimit } = configSchema.shape;
  const parsed = parseYaml(text, "guide.md", z.strictObject({ store, bandwidthLimit }));
  expect(parsed.bandwidthLimit).toBe(10_000_000);
  const named = [...section.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, name]) => name);
  expect(named.toSorted()).toEqual([...s3Parameters].sort());
});
