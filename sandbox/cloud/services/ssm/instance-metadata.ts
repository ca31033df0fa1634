import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { listening } from "../../listening.ts";
import type { Credential } from "../../s3/credentials.ts";

export interface Metadata {
  readonly instanceId: string;
  readonly region: string;
  readonly roleName: string;
  /** Asked anew at each request. */
  credential(): Credential;
  /** Milliseconds since 1970. */
  now(): number;
}

/**
 * What an EC2 instance learns about itself ("Amazon EC2 User Guide": "Instance metadata"), version 2 of the service only: every answer wants a
 * token. Programs find it by `AWS_EC2_METADATA_SERVICE_ENDPOINT`.
 */
export async function startInstanceMetadata(metadata: Metadata): Promise<{ url: string; close(): Promise<void> }> {
  const tokens = new Set<string>();
  const role = "/latest/meta-data/iam/security-credentials/";
  const server = createServer((request, response) => {
    const answer = (status: number, text: string) => response.writeHead(status).end(text);
    if (request.method === "PUT" && request.url === "/latest/api/token") {
      const token = randomUUID();
      tokens.add(token);
      response.setHeader(
        "x-aws-ec2-metadata-token-ttl-seconds",
        request.headers["x-aws-ec2-metadata-token-ttl-seconds"] ?? "21600",
      );
      return answer(200, token);
    }
    if (request.method !== "GET") return answer(405, "");
    if (!tokens.has(String(request.headers["x-aws-ec2-metadata-token"]))) return answer(401, "");
    switch (request.url) {
      case "/latest/meta-data/instance-id":
        return answer(200, metadata.instanceId);
      case "/latest/meta-data/placement/region":
        return answer(200, metadata.region);
      case "/latest/meta-data/placement/availability-zone/":
      case "/latest/meta-data/placement/availability-zone":
        return answer(200, `${metadata.region}a`);
      case role:
        return answer(200, metadata.roleName);
      case `${role}${metadata.roleName}`:
        return answer(200, JSON.stringify(document(metadata)));
      default:
        return answer(404, "");
    }
  });
  const { authority, close } = await listening(server);
  server.unref();
  return { url: `http://${authority}`, close };
}

/** Programs go by the machine's clock when they look at the expiry, and the cloud's may be another: what has no end is given a far one. */
function document({ credential, now }: Metadata) {
  const { accessKeyId, secretAccessKey, sessionToken, expiresAt } = credential();
  return {
    Code: "Success",
    LastUpdated: new Date(now()).toISOString(),
    Type: "AWS-HMAC",
    AccessKeyId: accessKeyId,
    SecretAccessKey: secretAccessKey,
    Token: sessionToken,
    Expiration: new Date(expiresAt ?? Date.UTC(2099, 0)).toISOString(),
  };
}
