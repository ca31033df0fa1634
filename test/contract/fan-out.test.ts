import { systemClock } from "../../core/ports/clock.ts";
import { fanOut } from "../../core/stores/fan-out.ts";
import { memoryStore } from "../fixtures/memory-store.ts";
import { setClock } from "../fixtures/set-clock.ts";
import { describeObjectStore } from "./object-store.ts";

describeObjectStore(
  "several stores that are written to as one, seen from the second",
  async () => {
    const [first, second] = [memoryStore(setClock(systemClock.now())), memoryStore(setClock(systemClock.now()))];
    const all = fanOut([
      { name: "first", store: first },
      { name: "second", store: second },
    ]);
    const erase: typeof second.erase = async (key, options) => {
      await first.erase(key, options);
      await second.erase(key, options);
    };
    return { store: { ...second, put: all.put, erase }, close: () => {} };
  },
  { holdsObjectsInMemory: true },
);
