/** Run by s3.ts: the sandbox's S3 in a process of its own, so that it does not share a processor's time with what is measured. */
import { everything } from "../sandbox/cloud/s3/credentials.ts";
import { startS3 } from "../sandbox/cloud/s3/server.ts";

const [directory = "", bucket = "", accessKeyId = "", secretAccessKey = "", latency = "0"] = process.argv.slice(2);
const credentials = [{ accessKeyId, secretAccessKey, name: "bench", allow: everything }];
const server = await startS3({ directory, credentials, buckets: [{ name: bucket }], region: "us-east-1" });
server.settings.latency = Number(latency);
process.send?.(server.url);
// Its log would grow with each request.
setInterval(() => server.requests.splice(0), 1000).unref();
process.once("disconnect", () => void server.close());
