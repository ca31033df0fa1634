import { z } from "zod";

const units = { "": 1, kB: 1e3, MB: 1e6, GB: 1e9, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 } as const;

/** A number of bytes as a configuration has it: `1500000`, `1.5MB`, `10 MiB`. */
export const byteQuantity = z.union([z.int().min(1), z.string()]).transform((given, context) => {
  if (typeof given === "number") return given;
  const [, number, unit] = /^(\d+(?:\.\d+)?) ?(|kB|[MG]B|[KMG]iB)$/.exec(given) ?? [];
  const bytes = Math.floor(Number(number) * units[(unit ?? "") as keyof typeof units]);
  if (bytes >= 1) return bytes;
  context.addIssue({ code: "custom", message: "write a number of bytes, such as 500kB, 10MB or 1GiB" });
  return z.NEVER;
});
