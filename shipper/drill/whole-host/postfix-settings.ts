/** A Postfix configuration as text (postconf(5), master(5)), and which of its settings a private instance takes over. */

/** Logical lines: one that starts with white space goes on, `#` starts a comment line. */
function logicalLines(text: string): string[] {
  const lines: string[] = [];
  for (const line of text.split("\n")) {
    if (/^\s*(#|$)/.test(line)) continue;
    if (/^\s/.test(line) && lines.length > 0) lines[lines.length - 1] += ` ${line.trim()}`;
    else lines.push(line.trimEnd());
  }
  return lines;
}

/** `name = value` of `main.cf`; the last one of a name counts. */
export function parseMain(text: string): Map<string, string> {
  return new Map(
    logicalLines(text).flatMap((line) => {
      const [, name, value] = /^([A-Za-z_][\w.-]*)\s*=\s*(.*)$/s.exec(line) ?? [];
      return name === undefined ? [] : [[name, value ?? ""] as [string, string]];
    }),
  );
}

/** The `-o name=value` of the first service for those who log in: one that says so itself. */
export function submissionOptions(master: string): Map<string, string> {
  for (const line of logicalLines(master)) {
    const words = line.split(/\s+/);
    if (words[1] !== "inet" || !words.some((word) => /^smtpd_sasl_auth_enable=yes$/.test(word))) continue;
    const options = [...line.matchAll(/\s-o\s+(?:\{\s*([\w.-]+)\s*=\s*([^}]*?)\s*\}|([\w.-]+)=(\S*))/g)];
    return new Map(options.map(([, a, b, c, d]) => [a ?? c!, b ?? d ?? ""]));
  }
  return new Map();
}

/**
 * What stays behind: where the live instance lives and listens, whom it asks (blacklists, policy servers, filters), to whom it sends and how. What says which
 * addresses there are, and what is made of them, is taken over.
 */
const left = [
  /^(smtp|lmtp|qmqpd|postscreen|tlsproxy|dnsblog|pipe|default)_|^relay_(?!domains$|recipient_maps$)/,
  /(^|_)tls(_|$)/,
  /_restrictions$|_milters$|^milter_|_filter$|^smtpd_proxy_|_bcc_maps$|^always_bcc$/,
  /^(transport_maps|relayhost|mailbox_transport|virtual_transport|receive_override_options|content_filter)$|_transport(_maps)?$/,
  /^(sender_dependent|fallback|mailbox_command|smtpd_client|smtpd_policy|smtpd_sasl|smtpd_restriction|address_verify|defer_transports)/,
  /^(inet_|proxy_interfaces|maillog|syslog|multi_instance|authorized_|alternate_config|import_env|export_env|debug|stress|soft_bounce)/,
  /_directory$|_limit$|_service_name$|^(mail_owner|default_privs|setgid_group|notify_classes|process_name|process_id|mynetworks.*|bounce_template_file)$/,
  /^(delay_warning_time|smtpd_upstream_proxy_protocol|sendmail_path|newaliases_path|mailq_path|forward_path|master_service_disable)$/,
];

/** Limits that a message may be refused by on the host as well. */
const taken = /^(message_size|mailbox_size|header_size|virtual_mailbox)_limit$/;

export function privateMain(staged: ReadonlyMap<string, string>): Map<string, string> {
  return new Map([...staged].filter(([name]) => taken.test(name) || !left.some((pattern) => pattern.test(name))));
}

/** The map types that values name: `mysql` of `proxy:mysql:/etc/postfix/x.cf`. */
export function mapTypes(values: Iterable<string>): Set<string> {
  const types = new Set<string>();
  for (const value of values) {
    for (const [, type] of value.matchAll(/(?<![\w/.])(?:proxy:)?([a-z]+):(?=[/{$a-z])/g)) types.add(type!);
  }
  return types;
}
