import type { Guard } from "./guard.ts";

const item = "test/shipper/restore/restore-host.test.ts";
const all = "test/shipper/commands/restore-all.test.ts";

/** What keeps a restore of everything from losing what is there, or from telling what is not so. */
export const restoreGuards: readonly Guard[] = [
  {
    guard: "a restore of everything goes on with the snapshots that it chose",
    file: "shipper/restore/journal.ts",
    find: "this.#steps = { ...Object.fromEntries(planned), ...this.#steps };",
    replace: "this.#steps = { ...this.#steps, ...Object.fromEntries(planned) };",
    test: { file: item, name: "keeps the snapshots that were chosen first, wherever it moves" },
  },
  {
    guard: "no restore is gone on with after a week",
    file: "shipper/restore/journal.ts",
    find: "if (left && clock.now() - Date.parse(left.startedAt) > longest) {",
    replace: "if (left && clock.now() < 0) {",
    test: { file: item, name: "that is older than a week is not gone on with" },
  },
  {
    guard: "no backup runs beside a restore that is not finished",
    file: "shipper/commands/backup.ts",
    find: "refuseDuringRestore(files, journalPath(config));",
    replace: "",
    test: {
      file: all,
      name: "that did not end is finished with the snapshots that it chose, and no backup comes between",
    },
  },
  {
    guard: "a service that holds something is not filled",
    file: "shipper/restore/restore-host.ts",
    find: "    await filling?.refuseUnlessEmpty(world);\n    begun = true;",
    replace: "    begun = true;",
    test: { file: item, name: "is refused where something is, which is neither touched nor noted" },
  },
  {
    guard: "what is begun is noted before anything is put there",
    file: "shipper/restore/restore-host.ts",
    find: '    note("begun");\n',
    replace: "",
    test: { file: item, name: "is noted before anything is put there, and when it is whole" },
  },
  {
    guard: "nothing is taken back from another service",
    file: "shipper/restore/restore-host.ts",
    find: "refuseElsewhere(step.service, service);",
    replace: "",
    test: { file: item, name: "is not taken back from another service than the one that was being filled" },
  },
  {
    guard: "what is left after an interruption stays begun",
    file: "shipper/restore/restore-host.ts",
    find: 'if (begun && (await isEmpty(filling, world))) note("planned");',
    replace: 'if (begun) note("planned");',
    test: { file: item, name: "and was interrupted with something left is finished by the next run" },
  },
  {
    guard: "what was done is looked at before it is believed",
    file: "shipper/restore/restore-host.ts",
    find: "return filling === undefined || !(await isEmpty(filling, world));",
    replace: "return true;",
    test: { file: item, name: "that was done, and lost again before everything was, is done anew" },
  },
  {
    guard: "mail services stay down when something did not come back",
    file: "shipper/restore/restore-host.ts",
    find: 'if (!whole && !accept) return { items: outcomes, mail: "left down", complaints };',
    replace: "",
    test: { file: item, name: "are left down when something did not come back, while the rest does" },
  },
  {
    guard: "a whole host is restored only from what its own key signed",
    file: "shipper/commands/restore-all.ts",
    find: "if (!plan.source.pinned && !options.unpinned) throw unpinned();",
    replace: "",
    test: { file: all, name: "is refused where nothing proves who wrote the store" },
  },
  {
    guard: "what was never captured is missed by a restore",
    file: "shipper/commands/restore-all.ts",
    find: "outcomes.push(...neverCaptured(config, plan));",
    replace: "",
    test: { file: all, name: "says what is configured and was never captured, and what --at is too early for" },
  },
  {
    guard: "what was never captured is missed by a drill",
    file: "shipper/commands/drill.ts",
    find: "...lacking.map(({ check }) => check),",
    replace: "",
    test: { file: all, name: "is held also where one component was never captured, and fails for it" },
  },
];
