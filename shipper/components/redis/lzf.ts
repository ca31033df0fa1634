/** LibLZF's format, as Redis packs long strings with it (lzf_d.c): a run of bytes as they are, or a copy of bytes that were there before. */
import { UnknownStructure } from "./unknown-structure.ts";

/**
 * The first `length` bytes of what was packed.
 *
 * @throws UnknownStructure where it was not packed so, or has fewer.
 */
export function decompress(packed: Buffer, length: number): Buffer {
  const out = Buffer.allocUnsafe(length);
  let at = 0;
  let filled = 0;
  while (filled < length && at < packed.length) {
    const control = packed[at++]!;
    if (control < 32) {
      const run = control + 1;
      filled += packed.copy(out, filled, at, at + run);
      at += run;
      continue;
    }
    let run = control >> 5;
    if (run === 7) run += packed[at++]!;
    let from = filled - ((control & 31) << 8) - packed[at++]! - 1;
    if (!(from >= 0)) throw new UnknownStructure("packed bytes refer to nothing");
    for (let left = run + 2; left > 0 && filled < length; left--) out[filled++] = out[from++]!;
  }
  if (filled < length) throw new UnknownStructure("packed bytes end too early");
  return out;
}
