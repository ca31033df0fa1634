/** Sizes, counts and times in words, as operators read them. */

const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** `812 B`, `1.23 MiB`, `640 GiB`: three digits are enough to judge by. */
export function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (unit < units.length - 1 && Math.round(value) >= 1000) {
    value /= 1024;
    unit += 1;
  }
  if (unit === 0) return `${bytes} B`;
  const digits = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

/** `12,345`. */
export const countText = (count: number): string => count.toLocaleString("en-US");

/** `1 message`, `12,345 messages`. */
export function countOf(count: number, one: string, many = `${one}s`): string {
  return `${countText(count)} ${count === 1 ? one : many}`;
}

/** `340 ms`, `2.4 s`, `3 min 20 s`, `2 h 5 min`. */
export function durationText(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 59_950) return `${(milliseconds / 1000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** How many times smaller something became: `3.1×`; nothing where there was nothing. */
export function ratioText(before: number, after: number): string {
  return before === 0 || after === 0 ? "" : `${(before / after).toFixed(before / after >= 10 ? 0 : 1)}×`;
}

/** `2026-11-21 02:00:00Z`, from milliseconds since 1970 or RFC 3339. */
export function timeText(time: number | string): string {
  return new Date(time)
    .toISOString()
    .replace("T", " ")
    .replace(/\.\d+Z$/, "Z");
}
