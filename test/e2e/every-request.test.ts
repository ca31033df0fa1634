import { test } from "vitest";
import { sweepEveryRequest } from "../fixtures/every-request.ts";

test("a backup, a pruning and a restore get over wrong answers of S3, or say what was wrong", () =>
  sweepEveryRequest(process.env.MAILARK_SEED ?? "requests", 9));
