import { keyringRoot } from "../keys.ts";
import type { ObjectEraser, ObjectReader, ObjectWriter } from "./store.ts";

type Store = ObjectWriter & ObjectReader & ObjectEraser;

/**
 * One store that lies in two places: keys of the keyring in one, everything else in the other. So the keyring can have rules of its own: data may be
 * locked for years, and a key must be destroyed on the day that somebody asks for it. A listing is of one of the two, by its prefix.
 */
export function dividedStore(rest: Store, keyring: Store): Store {
  const at = (key: string) => (key.startsWith(keyringRoot) ? keyring : rest);
  return {
    put: (key, ...given) => at(key).put(key, ...given),
    get: (key, ...given) => at(key).get(key, ...given),
    head: (key, ...given) => at(key).head(key, ...given),
    list: (prefix, ...given) => at(prefix).list(prefix, ...given),
    erase: (key, ...given) => at(key).erase(key, ...given),
  };
}
