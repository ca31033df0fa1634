import { test } from "vitest";
import { inAnyOrder } from "../fixtures/any-order.ts";

test.each([1, 2])(
  "in whatever order things happen to a host with %i stores, what is promised comes back as it was",
  (stores) => inAnyOrder(stores, 8),
);
