/** A path whose characters are bytes (latin1), as `node:fs` takes it: names on a mail host need not be UTF-8. */
export const bytePath = (path: string): Buffer => Buffer.from(path, "latin1");

/** The same path as people read it: UTF-8, where it is that. */
export const pathText = (path: string): string => bytePath(path).toString("utf8");
