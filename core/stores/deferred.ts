import { asMailarkError } from "../errors.ts";
import type { ObjectEraser, ObjectReader, ObjectReplacer, ObjectWriter } from "./store.ts";

type Store = ObjectWriter & ObjectReader & ObjectEraser & ObjectReplacer;

/** A store that is made when it is first asked for something: the client of S3 takes a quarter of a second to load. */
export function deferredStore(make: () => Promise<Store>): Store {
  let made: Promise<Store> | undefined;
  const store = () => {
    made ??= make().catch((error) => {
      throw asMailarkError(error);
    });
    return made;
  };
  return {
    put: async (...given) => (await store()).put(...given),
    replace: async (...given) => (await store()).replace(...given),
    async *get(...given) {
      yield* (await store()).get(...given);
    },
    head: async (...given) => (await store()).head(...given),
    async *list(...given) {
      yield* (await store()).list(...given);
    },
    erase: async (...given) => (await store()).erase(...given),
  };
}
