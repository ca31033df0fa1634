/** What a drill has of a host when its components are staged: enough to run the mail services on it once more. */
export interface StagedHost {
  /** Directory below which the captured configuration stands under its absolute paths: `ROOT/etc/postfix/main.cf`. */
  readonly configs?: { readonly root: string; readonly paths: readonly string[] };
  readonly certs?: { readonly root: string };
  /** Where the staged mail root is, in latin1, where it was on the host, and its layout as in the configuration. */
  readonly mail?: { readonly root: string; readonly liveRoot: string; readonly layout: string };
  /** Unix socket of the scratch server that has the staged databases and accounts. */
  readonly mysql?: { readonly socket: string };
  readonly postgres?: { readonly socketDirectory: string; readonly port: number };
}
