import type { Caller } from "./iam/caller.ts";
import type { Credential } from "./s3/credentials.ts";

/** Everybody who has a key, and who that is. */
export class Callers {
  readonly #known = new Map<string, { readonly credential: Credential; readonly caller: Caller }>();

  get credentials(): readonly Credential[] {
    return [...this.#known.values()].map(({ credential }) => credential);
  }

  /** One that was asked for before stays the same. */
  add(credential: Credential, caller: Caller): Credential {
    this.#known.set(credential.accessKeyId, { credential, caller });
    return credential;
  }

  of(accessKeyId: string): Caller {
    return this.#known.get(accessKeyId)!.caller;
  }
}
