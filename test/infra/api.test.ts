import { describe, expect, test } from "vitest";
import { routes } from "../../lambdas/api/routes.ts";
import { resourcesOf, statementsOf, synthesize, textOf } from "./synthesized.ts";

const templates = synthesize();
const control = templates["mailark-control"]!;
const all = (type: string) => resourcesOf(control, type).map(([, { Properties }]) => Properties);
const statements = statementsOf(templates);
const [[apiId] = []] = resourcesOf(control, "AWS::ApiGatewayV2::Api");
const routeKeys = all("AWS::ApiGatewayV2::Route").map(({ RouteKey }) => RouteKey);

describe("the API", () => {
  test("has the routes that its function answers, and no other", () => {
    expect(routeKeys.sort()).toEqual(Object.keys(routes).sort());
    const functions = all("AWS::ApiGatewayV2::Integration").map(({ IntegrationUri }) => textOf(IntegrationUri));
    const [[behind] = []] = resourcesOf(control, "AWS::Lambda::Function").filter(
      ([, { Properties }]) => Properties.FunctionName === "mailark-api",
    );
    expect(functions).toEqual([`<${behind}.Arn>`]);
  });

  test("takes no call that IAM has not judged", () => {
    expect(all("AWS::ApiGatewayV2::Route").map(({ AuthorizationType }) => AuthorizationType)).toEqual(
      routeKeys.map(() => "AWS_IAM"),
    );
    expect(routeKeys).not.toContain("$default");
  });

  test("writes down each call and who made it, and takes no more than a few a second", () => {
    const [stage, ...others] = all("AWS::ApiGatewayV2::Stage");
    expect(others).toEqual([]);
    expect(stage.DefaultRouteSettings).toEqual({ ThrottlingBurstLimit: 20, ThrottlingRateLimit: 5 });
    expect(textOf(stage.AccessLogSettings.DestinationArn)).toMatch(/^<ApiAccessLog\w+\.Arn>$/);
    expect(JSON.parse(stage.AccessLogSettings.Format)).toMatchObject({
      requestId: "$context.requestId",
      caller: "$context.identity.userArn",
      route: "$context.routeKey",
      status: "$context.status",
    });
  });

  test("may be called by whoever has the operators' policy, route by route", () => {
    const calling = statements.filter(({ actions }) => actions.some((action) => action.startsWith("execute-api:")));
    expect(calling.map(({ effect, actions, conditions }) => ({ effect, actions, conditions }))).toEqual([
      { effect: "Allow", actions: ["execute-api:Invoke"], conditions: {} },
    ]);
    const arn = `arn:aws:execute-api:eu-central-1:111122223333:<${apiId}>/$default/`;
    expect(calling[0]!.resources.slice().sort()).toEqual(routeKeys.map((key) => arn + key.replace(" /", "/")).sort());
  });

  test("reaches its function from its routes alone", () => {
    const permissions = all("AWS::Lambda::Permission").filter(({ Principal }) => /apigateway/.test(Principal));
    const arn = `arn:aws:execute-api:eu-central-1:111122223333:<${apiId}>/*/*`;
    expect(permissions.map(({ SourceArn }) => textOf(SourceArn)).sort()).toEqual(
      routeKeys.map((key) => arn + key.slice(key.indexOf("/"))).sort(),
    );
  });

  test("has behind it what can ask for a backup and read what was written down, and nothing else", () => {
    const own = statements.filter(({ where }) => /mailark-control ApiRoleDefaultPolicy/.test(where));
    const bucket = "arn:aws:s3:::mailark-control-111122223333-eu-central-1";
    expect(own.map(({ sid, actions, resources }) => [sid, actions, resources.slice(0, 4)])).toEqual([
      ["Log", ["logs:CreateLogStream", "logs:PutLogEvents"], [expect.stringMatching(/^<ApiLog/)]],
      [
        "ReadControl",
        ["s3:GetObject"],
        ["dispatches", "hosts", "latest", "runs"].map((part) => `${bucket}/control/${part}/*`),
      ],
      ["ListControl", ["s3:ListBucket"], [bucket]],
      ["SealControl", ["kms:Decrypt"], [expect.stringContaining("Key961B73FD")]],
      ["Announce", ["events:PutEvents"], ["arn:aws:events:eu-central-1:111122223333:event-bus/default"]],
    ]);
    const said = own.find(({ sid }) => sid === "Announce")!.conditions.StringEquals;
    expect(said).toEqual({ "events:source": "mailark", "events:detail-type": ["Backup Requested"] });
  });

  test("has what it asks for started by dispatch, which gets the request as a schedule sends it", () => {
    const rule = all("AWS::Events::Rule").find(({ Name }) => Name === "mailark-backup-requested");
    expect(rule.EventPattern).toEqual({ source: ["mailark"], "detail-type": ["Backup Requested"] });
    expect(textOf(rule.Targets[0].Arn)).toMatch(/^<DispatchFunction/);
    expect(rule.Targets[0].InputPath).toBe("$.detail");
    expect(textOf(rule.Targets[0].DeadLetterConfig.Arn)).toMatch(/DeadLetters/);
  });
});
