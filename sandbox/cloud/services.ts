import type { Cloud, Service } from "./service.ts";
import { cloudwatchService } from "./services/cloudwatch/cloudwatch-service.ts";
import { eventsService } from "./services/events/events-service.ts";
import { httpApiService } from "./services/http-api/http-api-service.ts";
import { iamService } from "./services/iam/iam-service.ts";
import { kmsService } from "./services/kms/kms-service.ts";
import { lambdaService } from "./services/lambda/lambda-service.ts";
import { logsService } from "./services/logs/logs-service.ts";
import { schedulerService } from "./services/scheduler/scheduler-service.ts";
import { snsService } from "./services/sns/sns-service.ts";
import { sqsService } from "./services/sqs/sqs-service.ts";
import { ssmService } from "./services/ssm/ssm-service.ts";
import { stsService } from "./services/sts/sts-service.ts";

/** Every service but S3, which has a server of its own. One that is added here is in the sandbox. */
export const services: readonly ((cloud: Cloud) => Service)[] = [
  iamService,
  stsService,
  ssmService,
  kmsService,
  snsService,
  sqsService,
  cloudwatchService,
  httpApiService,
  lambdaService,
  logsService,
  eventsService,
  schedulerService,
];
