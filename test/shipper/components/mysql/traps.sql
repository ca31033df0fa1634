CREATE DATABASE `empty db`;
CREATE DATABASE `-x`;
CREATE DATABASE `new
line`;
CREATE DATABASE `we``ird %ü 日本`;
CREATE TABLE `we``ird %ü 日本`.t (id INT PRIMARY KEY, v TEXT);
INSERT INTO `we``ird %ü 日本`.t VALUES (1, 'x');

-- Alike but for their case.
CREATE DATABASE TRAPS;
CREATE TABLE TRAPS.parts (other INT PRIMARY KEY, f FLOAT);
INSERT INTO TRAPS.parts VALUES (1, 0.1);
CREATE VIEW TRAPS.only AS SELECT other FROM TRAPS.parts;

CREATE DATABASE traps CHARACTER SET latin1;
USE traps;
CREATE TABLE look_alike (id INT PRIMARY KEY, v MEDIUMTEXT, w VARCHAR(200) DEFAULT '
--
-- Current Database: `mailserver`
--
', CHECK (v <> '
--
-- Current Database: `x`
--

USE `x`;
')) COMMENT '
--
-- Current Database: `mailserver`
--
';
INSERT INTO look_alike (id, v) VALUES (1, '\n--\n-- Current Database: `mailserver`\n--\n\nCREATE DATABASE /*!32312 IF NOT EXISTS*/ `mailserver`;\n\nUSE `mailserver`;\n'),
  (2, 'a\r\nb\0c\Z\'"\\'), (3, REPEAT('long ', 150000)), (4, NULL);
CREATE TABLE `tab
le; ``x` (`co
l` INT, f FLOAT, d DOUBLE, b BLOB, bits BIT(9), j JSON, ts TIMESTAMP(6) NULL, `gen` INT AS (`co
l` * 2) VIRTUAL);
INSERT INTO `tab
le; ``x` (`co
l`, f, d, b, bits, j, ts) VALUES (1, 1.23456789, 1.2345678901234567, x'00ff0a', b'101010101', '{"a": [1]}', '2026-11-21 20:00:00.123456'),
  (2, 16777217, -1e300, NULL, NULL, NULL, NULL);
CREATE TABLE past (id INT) WITH SYSTEM VERSIONING;
INSERT INTO past VALUES (1), (2);
UPDATE past SET id = 3 WHERE id = 2;
CREATE TABLE parent (id INT PRIMARY KEY);
CREATE TABLE child (id INT, parent INT, FOREIGN KEY (parent) REFERENCES parent (id));
INSERT INTO parent VALUES (1);
INSERT INTO child VALUES (1, 1);
CREATE TABLE parts (id INT, at DATE) PARTITION BY HASH (id) PARTITIONS 3;
INSERT INTO parts SELECT seq, '2026-01-01' FROM seq_1_to_50;
CREATE TABLE old_engine (id INT) ENGINE=MyISAM;
INSERT INTO old_engine VALUES (1), (2);
CREATE SEQUENCE numbers START WITH 5;
DO NEXTVAL(numbers);
CREATE FUNCTION doubled(n INT) RETURNS INT DETERMINISTIC RETURN n * 2;
CREATE VIEW across AS SELECT l.id, doubled(l.id) AS twice, o.id AS other FROM look_alike l JOIN `we``ird %ü 日本`.t o;
CREATE VIEW look_alikes AS SELECT '
--
-- Current Database: `empty db`
--

USE `empty db`;
' AS x, 1 AS `
--
-- Current Database: ``empty db``
--
x`;
DELIMITER //
CREATE PROCEDURE speak() BEGIN
  -- don't stop here
  SELECT '
DELIMITER ;

--
-- Current Database: `we``ird %ü 日本`
--

CREATE DATABASE /*!32312 IF NOT EXISTS*/ `we``ird %ü 日本` /*!40100 DEFAULT CHARACTER SET utf8mb4 */;

USE `we``ird %ü 日本`;
-- Dump completed on 2026-01-01 00:00:00
' AS ";;", 'é日本';
END//
ALTER DATABASE traps CHARACTER SET utf8mb4//
CREATE TRIGGER before_insert BEFORE INSERT ON parent FOR EACH ROW BEGIN
  SET @seen = '

--
-- Current Database: `mailserver`
--

USE `mailserver`;
';
END//
CREATE EVENT tick ON SCHEDULE EVERY 1 DAY COMMENT 'it''s' DO SELECT '
--
-- Current Database: `mailserver`
--
'//
CREATE EVENT asleep ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1//
ALTER DATABASE traps CHARACTER SET latin1//
DELIMITER ;

CREATE ROLE reader;
CREATE ROLE writer;
GRANT reader TO writer;
GRANT SELECT ON traps.* TO reader;
CREATE USER 'odd''na`me'@'10.%' IDENTIFIED BY 'secret one' PASSWORD EXPIRE;
CREATE USER app@'%' IDENTIFIED BY 'secret two' REQUIRE SSL WITH MAX_USER_CONNECTIONS 5 ACCOUNT LOCK;
CREATE USER local@localhost IDENTIFIED VIA unix_socket OR mysql_native_password USING PASSWORD('secret three');
GRANT writer TO app@'%' WITH ADMIN OPTION;
SET DEFAULT ROLE writer FOR app@'%';
GRANT SELECT (id), UPDATE ON traps.look_alike TO local@localhost WITH GRANT OPTION;
GRANT EXECUTE ON PROCEDURE traps.speak TO local@localhost;
GRANT PROXY ON app@'%' TO local@localhost;
GRANT SELECT ON mysql.time_zone TO local@localhost;
GRANT SELECT ON mailserver.* TO PUBLIC;
CREATE TABLE traps.gone (id INT);
GRANT SELECT ON traps.gone TO local@localhost;
DROP TABLE traps.gone;
