import { systemClock } from "../../core/ports/clock.ts";
import { memoryStore } from "../fixtures/memory-store.ts";
import { setClock } from "../fixtures/set-clock.ts";
import { describeObjectStore } from "./object-store.ts";

describeObjectStore(
  "the store that tests use",
  async () => ({ store: memoryStore(setClock(systemClock.now())), close: () => {} }),
  { holdsObjectsInMemory: true },
);
