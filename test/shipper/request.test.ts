import { describe, expect, test } from "vitest";
import { readRequest } from "../../shipper/request.ts";

const mysql = "20261121T020000.000Z-k3m9x2qa7b";
const mail = "20261121T021500.120Z-0123456789";

describe("what a controller says", () => {
  test("is whose wish the run is, and one base for each component", () => {
    const { requestId, bases } = readRequest({
      MAILARK_REQUEST: "d32c5kddcf5bb8c3",
      MAILARK_BASE: `mysql=${mysql} mail=${mail}`,
    });
    expect(requestId).toBe("d32c5kddcf5bb8c3");
    expect([...bases]).toEqual([
      ["mysql", mysql],
      ["mail", mail],
    ]);
  });

  test.each([{}, { MAILARK_REQUEST: "", MAILARK_BASE: "" }])("may be nothing: %j", (env) => {
    expect(readRequest(env)).toEqual({ bases: new Map() });
  });

  test.each([
    ["a component that there is not", `exchange=${mysql}`],
    ["no snapshot", "mysql"],
    ["an empty snapshot", "mysql="],
    ["no id of a snapshot", "mysql=latest"],
    ["more behind it", `mysql=${mysql};id`],
    ["more behind it", `mysql=${mysql}=x`],
    ["a way out of the store", `mysql=../${mysql}`],
    ["one component twice", `mysql=${mysql} mysql=${mysql}`],
    ["another space", `mysql=${mysql}  mail=${mail}`],
    ["another space", `mysql=${mysql}\tmail=${mail}`],
    ["a space at the end", `mysql=${mysql} `],
    ["a line break", `mysql=${mysql}\n`],
    ["a space alone", " "],
  ])("is refused as a whole where a base has %s: %j", (_, MAILARK_BASE) => {
    expect(() => readRequest({ MAILARK_BASE })).toThrow(
      expect.objectContaining({
        code: "ARGUMENT_INVALID",
        message: "MAILARK_BASE is no list of bases",
        hint: expect.stringMatching(/^it must be COMPONENT=SNAPSHOT/),
      }),
    );
  });

  test.each(["-x", ".", "a b", "$(id)", "a\n", "a".repeat(101), "r/1"])(
    "is refused where the request is called %j",
    (MAILARK_REQUEST) => {
      expect(() => readRequest({ MAILARK_REQUEST })).toThrow(
        expect.objectContaining({ code: "ARGUMENT_INVALID", message: "MAILARK_REQUEST is no id of a request" }),
      );
    },
  );
});
