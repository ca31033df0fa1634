/** Something of a host that a component captures. */
export interface Found {
  /** The component's section of the configuration, as it is written. */
  readonly section: Readonly<Record<string, unknown>>;
  /** Where it is and how that was found, in a few words for people. */
  readonly from: string;
  /** What stands between this section and a backup, and how to mend it. Absent: nothing that was seen. */
  readonly lacks?: string | undefined;
}
