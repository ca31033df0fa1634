import { type Policy, readPolicy } from "./policy.ts";

/**
 * A policy that AWS keeps, by its ARN, as the "AWS managed policy reference" prints it.
 *
 * @throws Error for one that is not known here.
 */
export function managedByAws(arn: string): Policy {
  const statement = statements[arn];
  if (statement === undefined) throw new Error(`unknown policy ${arn}`);
  return readPolicy({ Version: "2012-10-17", Statement: [{ Effect: "Allow", ...statement }] }, arn, "identity");
}

const statements: Readonly<Record<string, object>> = {
  "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole": {
    Action: ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
    Resource: "*",
  },
};
