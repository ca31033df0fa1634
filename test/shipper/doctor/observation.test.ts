import { expect, test } from "vitest";
import { commandOf } from "../../../shipper/doctor/observation.ts";

test("a name that can not be printed makes no command, but a sentence", () => {
  expect(commandOf("chmod", "600", "/etc/it's here")).toEqual({ command: "chmod 600 '/etc/it'\\''s here'" });
  expect(commandOf("chmod", "600", "/etc/two\nlines")).toEqual({
    advice: expect.stringMatching(/with the name as it is: chmod 600 '\/etc\/two\\x0alines'$/),
  });
});
