import { asMailarkError, MailarkError } from "../../core/errors.ts";
import { hostOfKey } from "../../core/keys.ts";
import type { ObjectWriter } from "../../core/stores/store.ts";

/**
 * A store that knows hosts by their credentials: where it refuses an object, the reason may be that these are another host's, and then that is told.
 *
 * @param whose host the credentials are. It is asked only after a refusal; when it throws, that is told beside the refusal.
 */
export function toldApart<S extends ObjectWriter>(store: S, whose: (signal?: AbortSignal) => Promise<string>): S {
  return {
    ...store,
    async put(key, body, options = {}) {
      try {
        return await store.put(key, body, options);
      } catch (thrown) {
        const error = asMailarkError(thrown);
        if (error.code !== "STORE_FORBIDDEN") throw error;
        throw await explained(error, hostOfKey(key), () => whose(options.signal));
      }
    },
  };
}

async function explained(refusal: MailarkError, hostId: string | undefined, whose: () => Promise<string>) {
  try {
    const own = await whose();
    if (own === hostId) return refusal;
    return new MailarkError("STORE_FORBIDDEN", "the credentials of this machine are not those of the configured host", {
      detail: `configured is ${hostId}, the credentials are of ${own}`,
      hint: "a machine or a role that was replaced is a new host: move the configuration away and run `mailark init`",
      cause: refusal,
    });
  } catch (thrown) {
    const { message, detail = "" } = asMailarkError(thrown);
    const { code, hint, cause } = refusal;
    return new MailarkError(code, refusal.message, {
      ...(hint !== undefined && { hint }),
      detail: `${refusal.detail ?? ""}\n${message}: ${detail}`.trim(),
      cause,
    });
  }
}
