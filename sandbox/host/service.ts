/** What every server of the host can do, beside its own work. */
export interface Service {
  /** Its main process, or `undefined` while it is down. */
  readonly pid: number | undefined;
  /** Brings it up over the data that is there. Resolves when it does its work. */
  start(signal?: AbortSignal): Promise<void>;
  /** Takes it down in order, so that its data is whole on the disk. */
  stop(): Promise<void>;
  /** Ends it as a power failure would. */
  kill(): Promise<void>;
}

/** Stops a service and starts it again, as an operator does after putting its data back. */
export async function restart(service: Service): Promise<void> {
  await service.stop();
  await service.start();
}
