import type { Credential } from "../../s3/credentials.ts";
import type { Cloud } from "../../service.ts";
import type { FunctionSettings } from "./function-settings.ts";

export interface Place {
  /** Where the code lies. */
  readonly code: string;
  readonly logStream: string;
  readonly credential: Credential;
  readonly endpoints: Cloud["endpoints"];
}

/**
 * What Lambda sets for a function ("Defined runtime environment variables"), the function's own variables, and the two by which the SDK finds the
 * sandbox: an endpoint that is an address makes it name buckets in the path.
 */
export function environmentVariables(
  { name, region, handler, memoryMb, logGroup, variables }: FunctionSettings,
  { code, logStream, credential, endpoints }: Place,
): Readonly<Record<string, string>> {
  return {
    LANG: "en_US.UTF-8",
    TZ: ":UTC",
    ...variables,
    _HANDLER: handler,
    LAMBDA_TASK_ROOT: code,
    AWS_REGION: region,
    AWS_DEFAULT_REGION: region,
    AWS_EXECUTION_ENV: `AWS_Lambda_nodejs${process.versions.node.split(".")[0]}.x`,
    AWS_LAMBDA_FUNCTION_NAME: name,
    AWS_LAMBDA_FUNCTION_VERSION: "$LATEST",
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(memoryMb),
    AWS_LAMBDA_INITIALIZATION_TYPE: "on-demand",
    AWS_LAMBDA_LOG_GROUP_NAME: logGroup,
    AWS_LAMBDA_LOG_STREAM_NAME: logStream,
    AWS_ACCESS_KEY_ID: credential.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credential.secretAccessKey,
    ...(credential.sessionToken !== undefined && { AWS_SESSION_TOKEN: credential.sessionToken }),
    AWS_ENDPOINT_URL: endpoints.api,
    AWS_ENDPOINT_URL_S3: endpoints.s3,
  };
}
