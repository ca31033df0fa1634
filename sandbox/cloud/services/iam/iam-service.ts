import type { Service } from "../../service.ts";
import { only } from "../../understood.ts";

/** What stands in the account and does nothing by itself: policies are read where the account is (`iam/account.ts`). */
export function iamService(): Service {
  return {
    name: "iam",
    types: ["AWS::IAM::InstanceProfile", "AWS::IAM::ManagedPolicy", "AWS::IAM::Policy"],
    make(resource) {
      if (resource.type === "AWS::IAM::InstanceProfile") only(resource, ["InstanceProfileName", "Path", "Roles"]);
    },
  };
}
