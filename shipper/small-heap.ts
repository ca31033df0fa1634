import { setFlagsFromString } from "node:v8";

/**
 * Leaves V8's room for young objects as large as it is. V8 doubles it as long as some of them live on, up to 96 MiB, and a stream of ten
 * gigabytes gets there although nearly all of them die at once. The factor is read whenever that room would grow (V8's heap/new-spaces.cc),
 * so it can be set in mid-run, where `--max-semi-space-size` can not.
 */
export function keepHeapSmall(): void {
  setFlagsFromString("--semi-space-growth-factor=1");
}
