import { test } from "vitest";
import { inAnyOrder } from "../fixtures/any-order.ts";

test.each([1, 2])(
  "in hundreds of orders of what happens to a host with %i stores, what is promised comes back as it was",
  (stores) => inAnyOrder(stores, 300),
);
