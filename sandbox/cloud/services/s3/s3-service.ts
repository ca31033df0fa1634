import type { CreatedObject } from "../../s3/exchange.ts";
import type { Cloud, Service } from "../../service.ts";
import { only } from "../../understood.ts";

/** S3 as the other services see it: it has an address of its own, and tells EventBridge what comes. */
export interface S3Service extends Service {
  /** @see S3Options.created */
  created(object: CreatedObject): void;
}

/** Source of the events: "EventBridge event message structure", Amazon S3 user guide. */
export function s3Service(cloud: Cloud): S3Service {
  const telling = new Set<string>();
  return {
    name: "s3",
    types: ["AWS::S3::Bucket", "AWS::S3::BucketPolicy"],
    make(resource) {
      const { type, ref, properties } = resource;
      if (type !== "AWS::S3::Bucket") return;
      const { NotificationConfiguration = {} } = properties;
      only(resource, ["EventBridgeConfiguration"], NotificationConfiguration);
      const { EventBridgeConfiguration } = NotificationConfiguration;
      // Its presence switches it on, unless it says no.
      if (EventBridgeConfiguration !== undefined && EventBridgeConfiguration.EventBridgeEnabled !== false) {
        telling.add(ref);
      }
    },
    created({ bucket, key, bytes, etag, versionId, sequencer, requestId, operation }) {
      if (!telling.has(bucket)) return;
      const published = cloud.publish({
        source: "aws.s3",
        "detail-type": "Object Created",
        resources: [`arn:aws:s3:::${bucket}`],
        detail: {
          version: "0",
          bucket: { name: bucket },
          object: { key, size: bytes, etag, ...(versionId !== undefined && { "version-id": versionId }), sequencer },
          "request-id": requestId,
          requester: cloud.accountId,
          "source-ip-address": "127.0.0.1",
          reason: operation,
        },
      });
      cloud.goOn(published);
    },
  };
}
