import { dovecotDatabaseUser } from "./dovecot.ts";
import type { Mariadb } from "./mariadb.ts";

/** The tables of the agency's `mailserver` database, in an order in which each can be filled. */
export const agencyTables = [
  "virtual_domains",
  "virtual_users",
  "virtual_aliases",
  "api_keys",
  "delivery_log",
] as const;

const tables = `
CREATE TABLE virtual_domains (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(255) CHARACTER SET ascii NOT NULL UNIQUE,
  dkim_selector VARCHAR(63) NOT NULL DEFAULT 'mail',
  dkim_private_key TEXT,
  dkim_public_key TEXT,
  mailbox_count INT UNSIGNED NOT NULL DEFAULT 0,
  active TINYINT(1) NOT NULL DEFAULT 1
);
CREATE TABLE virtual_users (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  domain_id INT UNSIGNED NOT NULL,
  email VARCHAR(255) NOT NULL UNIQUE,
  password VARCHAR(255) NOT NULL,
  display_name VARCHAR(255),
  quota_bytes BIGINT UNSIGNED NOT NULL DEFAULT 0,
  active TINYINT(1) NOT NULL DEFAULT 1,
  FOREIGN KEY (domain_id) REFERENCES virtual_domains (id) ON DELETE CASCADE
);
CREATE TABLE virtual_aliases (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  domain_id INT UNSIGNED NOT NULL,
  source VARCHAR(255) NOT NULL,
  destination VARCHAR(255) NOT NULL,
  UNIQUE KEY (source, destination),
  FOREIGN KEY (domain_id) REFERENCES virtual_domains (id) ON DELETE CASCADE
);
CREATE TABLE api_keys (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  user_id INT UNSIGNED,
  label VARCHAR(255) NOT NULL,
  key_hash BINARY(32) NOT NULL,
  sealed BLOB,
  permissions JSON NOT NULL,
  FOREIGN KEY (user_id) REFERENCES virtual_users (id) ON DELETE SET NULL
);
CREATE TABLE delivery_log (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  user_id INT UNSIGNED,
  delivered_at DATETIME(3) NOT NULL,
  message_id VARCHAR(255) NOT NULL,
  subject TEXT,
  fingerprint BINARY(16) NOT NULL,
  detail TEXT,
  KEY (user_id, delivered_at),
  FOREIGN KEY (user_id) REFERENCES virtual_users (id) ON DELETE SET NULL
);`;

const programs = `
CREATE VIEW active_mailboxes AS
  SELECT u.email, d.name AS domain FROM virtual_users u JOIN virtual_domains d ON d.id = u.domain_id
  WHERE u.active = 1 AND d.active = 1;
DELIMITER //
CREATE TRIGGER count_mailbox AFTER INSERT ON virtual_users FOR EACH ROW
BEGIN
  UPDATE virtual_domains SET mailbox_count = mailbox_count + 1 WHERE id = NEW.domain_id;
END//
CREATE PROCEDURE deactivate_domain(IN which VARCHAR(255))
BEGIN
  UPDATE virtual_domains SET active = 0 WHERE name = which;
END//
CREATE FUNCTION mailbox_domain(address VARCHAR(255)) RETURNS VARCHAR(255) DETERMINISTIC
  RETURN SUBSTRING_INDEX(address, '@', -1)//
CREATE EVENT expire_delivery_log ON SCHEDULE EVERY 1 DAY DO
  DELETE FROM delivery_log WHERE delivered_at < NOW() - INTERVAL 400 DAY//
DELIMITER ;`;

/** Makes the agency's empty `mailserver` database, and the account that Dovecot reads it with. */
export async function makeAgencySchema(mariadb: Mariadb): Promise<void> {
  await mariadb.sql(`
CREATE DATABASE mailserver CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE USER '${dovecotDatabaseUser}'@'localhost' IDENTIFIED BY '${mariadb.applicationPassword}';
GRANT SELECT ON mailserver.* TO '${dovecotDatabaseUser}'@'localhost';
USE mailserver;
${tables}
${programs}`);
}
