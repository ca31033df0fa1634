import { expect, test } from "vitest";
import { type ReporterOptions, reporterOf } from "../../../shipper/terminal/reporter.ts";
import { setClock } from "../../fixtures/set-clock.ts";

function reporter(options: Partial<Omit<ReporterOptions, "output">> & { isTTY?: boolean; columns?: number } = {}) {
  const { isTTY = true, columns = 60, ...others } = options;
  const clock = setClock(0);
  const written: string[] = [];
  const output = { isTTY, columns, write: async (text: string) => void written.push(text) };
  const tick = () => clock.set(clock.now() + 2000);
  return { written, tick, ...reporterOf({ output, clock, json: false, color: false, ...others }) };
}
/** What a terminal of one line shows after all that. */
const screen = (written: readonly string[]) => written.join("").split("\r\x1b[2K").at(-1);

test("a live line shows what, how much, how fast and how far", () => {
  const { begin, advance, doing, tick, written } = reporter({ columns: 80 });
  begin("reading", 4 * 1024 * 1024);
  tick();
  advance(1024 * 1024);
  tick();
  doing("mail");
  expect(screen(written)).toBe("reading  █████░░░░░░░░░░░░░░░ 25%  1.00 MiB of 4.00 MiB  256 KiB/s  mail");
  expect(written.every((text) => !text.includes("\n"))).toBe(true);
});

test("it takes one line of the terminal, however narrow, and obeys no name", () => {
  const { begin, doing, tick, written } = reporter({ columns: 30 });
  begin("mail");
  tick();
  doing(`mailbox ${"x".repeat(100)}\n\x1b[31m`);
  expect(screen(written)!.length).toBe(29);
  tick();
  doing("\x1b[31m");
  expect(screen(written)).toContain("\\x1b[31m");
});

test("nothing of it stays when the work is over", () => {
  const { begin, end, written } = reporter();
  begin("mail");
  end();
  expect(screen(written)).toBe("");
});

test("a warning has lines of its own, and stays", () => {
  const { begin, warn, written } = reporter();
  begin("mail");
  warn("one mailbox", "a\x07b\nc");
  expect(screen(written)).toBe("Warning: one mailbox\n  a\\x07b\n  c\n");
});

test("it draws at most ten times a second", () => {
  const { begin, advance, written } = reporter();
  begin("mail");
  for (let number = 0; number < 1000; number += 1) advance(1);
  expect(written.length).toBeLessThan(3);
});

test("a pipe gets warnings and nothing else", () => {
  const { begin, advance, warn, end, written, tick } = reporter({ isTTY: false });
  begin("mail");
  tick();
  advance(1);
  warn("look");
  end();
  expect(written).toEqual(["Warning: look\n"]);
});

test("a program gets every event as one line of JSON, also on a terminal", () => {
  const { begin, advance, doing, warn, end, tick, written } = reporter({ json: true });
  begin("mail", 10);
  tick();
  advance(5);
  tick();
  doing("x\n");
  warn("look", "a\nb");
  end();
  const events = written
    .join("")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(events.map(({ event }) => event)).toEqual(["begin", "progress", "progress", "warning", "end"]);
  expect(events[2]).toMatchObject({ label: "mail", bytes: 5, totalBytes: 10, doing: "x\n" });
});

test("colour is there only where it is wanted", () => {
  const { warn, written } = reporter({ color: true });
  warn("look");
  expect(written.join("")).toBe("\x1b[33mWarning:\x1b[39m look\n");
});

test("a reader that went away ends nothing", async () => {
  const output = { isTTY: true, columns: 80, write: () => Promise.reject(new Error("EPIPE")) };
  const { begin, warn, end } = reporterOf({ output, clock: setClock(0), json: false, color: false });
  begin("mail");
  warn("look");
  end();
  await new Promise((resolve) => setImmediate(resolve));
});
