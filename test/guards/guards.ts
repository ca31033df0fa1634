import { ageGuards } from "./age.ts";
import { alarmGuards } from "./alarms.ts";
import { captureGuards } from "./capture.ts";
import { cloudGuards } from "./cloud.ts";
import { consistencyGuards } from "./consistency.ts";
import { controllerGuards } from "./controller.ts";
import { databaseGuards } from "./databases.ts";
import { doctorGuards } from "./doctor.ts";
import { eventGuards } from "./events.ts";
import { fleetGuards } from "./fleet.ts";
import { formatGuards } from "./format.ts";
import { functionAdapterGuards } from "./function-adapters.ts";
import type { Guard } from "./guard.ts";
import { httpApiGuards } from "./http-api.ts";
import { judgementGuards } from "./judgement.ts";
import { lambdaGuards } from "./lambda.ts";
import { mailGuards } from "./mail.ts";
import { postgresGuards } from "./postgres.ts";
import { programGuards } from "./program.ts";
import { pruneGuards } from "./prune.ts";
import { queueGuards } from "./queue.ts";
import { redisGuards } from "./redis.ts";
import { restoreGuards } from "./restore.ts";
import { runningCloudGuards } from "./running-cloud.ts";
import { s3Guards } from "./s3.ts";
import { ssmGuards } from "./ssm.ts";
import { stackGuards } from "./stacks.ts";
import { storeGuards } from "./store.ts";
import { severalStoresGuards } from "./stores.ts";
import { treeGuards } from "./trees.ts";
import { wholeHostGuards } from "./whole-host.ts";

/** Every guard of the product that a test answers for. */
export const guards: readonly Guard[] = [
  ...storeGuards,
  ...cloudGuards,
  ...runningCloudGuards,
  ...alarmGuards,
  ...lambdaGuards,
  ...eventGuards,
  ...s3Guards,
  ...formatGuards,
  ...ageGuards,
  ...judgementGuards,
  ...captureGuards,
  ...consistencyGuards,
  ...mailGuards,
  ...databaseGuards,
  ...postgresGuards,
  ...redisGuards,
  ...queueGuards,
  ...severalStoresGuards,
  ...treeGuards,
  ...wholeHostGuards,
  ...restoreGuards,
  ...pruneGuards,
  ...doctorGuards,
  ...programGuards,
  ...controllerGuards,
  ...functionAdapterGuards,
  ...stackGuards,
  ...httpApiGuards,
  ...ssmGuards,
  ...fleetGuards,
];
