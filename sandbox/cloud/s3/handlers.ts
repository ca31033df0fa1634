import * as buckets from "./buckets.ts";
import { copyObject } from "./copy-object.ts";
import { deleteObject, deleteObjects } from "./delete-object.ts";
import type { Handler } from "./exchange.ts";
import { getObject } from "./get-object.ts";
import * as lists from "./lists.ts";
import * as multipart from "./multipart.ts";
import type { OperationName } from "./operations.ts";
import { putObject } from "./put-object.ts";
import * as state from "./version-state.ts";

/** Who does what. */
export const handlers: Record<OperationName, Handler> = {
  ListBuckets: lists.listBuckets,
  CreateBucket: buckets.createBucket,
  HeadBucket: buckets.headBucket,
  DeleteBucket: buckets.deleteBucket,
  GetBucketLocation: buckets.getBucketLocation,
  GetBucketVersioning: buckets.getBucketVersioning,
  PutBucketVersioning: buckets.putBucketVersioning,
  GetBucketEncryption: buckets.getBucketEncryption,
  GetObjectLockConfiguration: buckets.getObjectLockConfiguration,
  PutObjectLockConfiguration: buckets.putObjectLockConfiguration,
  ListObjectsV2: lists.listObjects,
  ListObjectVersions: lists.listObjectVersions,
  ListMultipartUploads: lists.listMultipartUploads,
  DeleteObjects: deleteObjects,
  PutObject: putObject,
  CopyObject: copyObject,
  GetObject: getObject,
  HeadObject: getObject,
  DeleteObject: deleteObject,
  CreateMultipartUpload: multipart.createMultipartUpload,
  UploadPart: multipart.uploadPart,
  CompleteMultipartUpload: multipart.completeMultipartUpload,
  AbortMultipartUpload: multipart.abortMultipartUpload,
  ListParts: lists.listParts,
  GetObjectTagging: state.getObjectTagging,
  PutObjectTagging: state.putObjectTagging,
  DeleteObjectTagging: state.deleteObjectTagging,
  GetObjectRetention: state.getObjectRetention,
  PutObjectRetention: state.putObjectRetention,
  GetObjectLegalHold: state.getObjectLegalHold,
  PutObjectLegalHold: state.putObjectLegalHold,
};
