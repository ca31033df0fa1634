#!/usr/bin/env python3
"""Restores one mailbox from a mailark store in a directory.

Written from docs/format.md alone, without a look at the shipper or at restore.sh: it shows that the page is enough to
write a reader, and is a second opinion on what the shipper stores. The § are those of that page.

    read_mailbox.py [--chown] [--fingerprint HEX] STORE HOST SNAPSHOT|latest IDENTITY MAILBOX OUTPUT

MAILBOX is the mailbox's path below the mail root, escaped as in §8. OUTPUT, which must be new or empty, becomes the
mailbox's directory. It needs Python 3.11, `age`, `zstd` and `openssl`. A summary is printed as JSON. What is damaged is
named on stderr, and the exit status is 1. Who signed is proved only with --fingerprint, from the recovery sheet (§7).
"""
import argparse, base64, contextlib, functools, hashlib, json, os, re, subprocess, sys, tempfile, urllib.parse

MAX_PLAIN, MAX_STORED, MAX_DOCUMENT, MAX_CLOSURE = (int(mib * 2**20) for mib in (8, 8.25, 16, 256))  # §10
ED25519 = bytes.fromhex("302a300506032b6570032100")  # such a SubjectPublicKeyInfo is this and 32 bytes (RFC 8410)


class Damage(Exception):
    """What the store holds is not what the format promises."""


def need(condition, message):
    if not condition:
        raise Damage(message)


@contextlib.contextmanager
def shape(what):
    """Within it, a value that is not of the shape which the format describes is damage."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as problem:
        raise Damage(f"{what}: is malformed: {type(problem).__name__}: {problem}") from None


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def run(what, data, *program):
    """Standard output of a program that gets `data` on its standard input."""
    done = subprocess.run(program, input=data, capture_output=True)
    need(done.returncode == 0, f"{what}: {program[0]} failed: {done.stderr.decode('utf-8', 'replace')}")
    return done.stdout


# ------------------------------------------------------------------------------------------- §1, §8: fields and rows
def form(pattern, convert=str):
    def parse(text):
        if not re.fullmatch(pattern, text):
            raise ValueError(f"{text!r} is not {pattern}")
        return convert(text)
    return parse


def escape(raw):
    return "".join(chr(b) if 0x21 <= b <= 0x7E and b != 0x25 else f"%{b:02X}" for b in raw)


number = form("0|[1-9][0-9]{0,17}", int)
digest = form("[0-9a-f]{64}")
name = form(NAME := "([!-$&-~]|%(0[1-9A-F]|1[0-9A-F]|2[05]|7F|[89A-F][0-9A-F]))*", urllib.parse.unquote_to_bytes)
path = form(rf"\.|(?!(.*/)?\.{{0,2}}(/.*)?$){NAME}", urllib.parse.unquote_to_bytes)
key_id = form("[0-9a-f]{32}")
snapshot_id = form(SNAPSHOT := r"[0-9]{8}T[0-9]{6}\.[0-9]{3}Z-[0-9a-z]{10}")
pack_id = form(SNAPSHOT + "/(?!0000$)([0-9]{4}|[1-9][0-9]{4,})")
FIELDS = {
    "OWNER": form("[a-z2-7]{26}"), "KEYID": key_id, "PACK": pack_id, "OFFSET": number, "BYTES": number,
    "PATH": path, "FOLDER": path, "TARGET": name, "INFO": form("(:[^/]*)?", name), "BASE": form("[^:/]*", name),
    "STATE": form("cur|new"), "UID": number, "GID": number, "N": number, "MODE": form("[0-7]{4}"), "SIZE": number,
    "MTIME": form(r"(?!-0$)-?(0|[1-9][0-9]{0,17})(\.[0-9]{0,2}[1-9])?"), "SHA256": digest,
}
TABLE_ROWS = {"mailbox": "OWNER", "index": "OWNER KEYID PACK OFFSET BYTES", "gone": "OWNER"}
INDEX_ROWS = {
    "mailbox": "PATH UID GID", "archive": "N KEYID PACK OFFSET BYTES",
    "folder": "PATH MODE", "directory": "PATH MODE", "link": "PATH TARGET", "remove": "PATH",
    "put": "FOLDER STATE INFO BASE MODE SIZE MTIME SHA256 N", "delete": "FOLDER BASE",
    "file": "PATH MODE SIZE MTIME SHA256 N",
}


def rows(pieces, known, what):
    """(where, word, values) of the rows with a known first word. Other rows, and further fields, are skipped."""
    left = b""
    for piece in pieces:  # which may end within a row
        *lines, left = (left + piece).split(b"\n")
        for line in lines:
            word, *texts = line.decode("latin-1").split("\t")
            if word in known:
                fields, where = known[word].split(), f"{what}: row {line[:200]!r}"
                need(len(texts) >= len(fields), f"{where}: has too few fields")
                with shape(where):
                    values = [FIELDS[field](text) for field, text in zip(fields, texts)]
                yield where, word, values
    need(not left, f"{what}: the last row has no line feed")


# --------------------------------------------------------------------------- §1 to §7: objects, documents, segments
def one_frame(data, what):
    """Checks that it is exactly one Zstandard frame (RFC 8878 §3.1.1). The content size that it states, or None."""
    need(data[:4] == b"\x28\xb5\x2f\xfd", f"{what}: not a Zstandard frame")
    with contextlib.suppress(IndexError):
        flags, last = data[4], 0
        single, checksum = flags >> 5 & 1, flags >> 2 & 1
        at, width = 6 - single + (0, 1, 2, 4)[flags & 3], (single, 2, 4, 8)[flags >> 6]
        size = int.from_bytes(data[at : at + width], "little") + 256 * (width == 2)
        at += width
        while not last:
            block = data[at] | data[at + 1] << 8 | data[at + 2] << 16
            last, at = block & 1, at + 3 + (1 if block >> 1 & 3 == 1 else block >> 3)
        need(at + 4 * checksum == len(data), f"{what}: not exactly one Zstandard frame")
        return size if width else None
    raise Damage(f"{what}: the Zstandard frame is cut off")


class Store:
    """The objects of a host's component `mail`."""

    def __init__(self, root, host, identity, fingerprint, scratch):
        self.root, self.host, self.top, self.packs, self.sound = root, host, f"hosts/{host}/mail", {}, set()
        self.identity, self.fingerprint, self.scratch = identity, fingerprint, scratch

    def file(self, key):
        return os.path.join(self.root, *key.split("/"))

    def read(self, key, limit):
        with open(self.file(key), "rb") as file:
            data = file.read(limit + 1)
        need(len(data) <= limit, f"{key}: is larger than {limit} bytes")
        return data

    def keep(self, name, data):
        """The path of a scratch file; the directory is closed to others."""
        with open(os.path.join(self.scratch, name), "wb") as file:
            file.write(data)
        return file.name

    def document(self, key, kind):
        """The members of a signed document."""
        with shape(key):
            signed, seal, end = self.read(key, MAX_DOCUMENT).split(b"\n")
            seal = json.loads(seal.decode())
            signer, signature = key_id(seal["keyId"]), base64.b64decode(seal["ed25519"], validate=True)
            if kind == "mailark-enrolment/1":  # it brings the key that it is signed with
                der = base64.b64decode(json.loads(signed.decode())["signingKey"], validate=True)
                need(len(der) == 44 and der.startswith(ED25519), f"{key}: does not bring an Ed25519 key")
                need(self.fingerprint in (None, sha256(der)), f"{key}: is not the key of --fingerprint")
            else:
                enrolment = self.document(f"hosts/{self.host}/enrol/{signer}.json", "mailark-enrolment/1")
                der = base64.b64decode(enrolment["signingKey"])
            need(not end and sha256(der).startswith(signer), f"{key}: is not two lines, or signed by another key")
            command = ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", self.keep("der", der)]
            command += ["-rawin", "-in", self.keep("signed", signed), "-sigfile", self.keep("signature", signature)]
            need(subprocess.run(command, capture_output=True).returncode == 0, f"{key}: the signature is wrong")
            members = json.loads(signed.decode())
            need(members["format"] == kind, f"{key}: format {members['format']!r} is not {kind}")
            need(members["hostId"] == self.host, f"{key}: is of host {members['hostId']!r}")
        return members

    def manifest(self, snapshot):
        key = f"{self.top}/{snapshot}/manifest.json"
        manifest = self.document(key, "mailark-manifest/1")
        with shape(key):
            for member, known in ("component", ["mail"]), ("snapshotId", [snapshot]), ("kind", ["full", "incremental"]):
                need(manifest[member] in known, f"{key}: {member} is {manifest[member]!r}")
        return manifest

    def latest(self):
        """The manifest of the greatest SNAPSHOT that has one which can be read and believed."""
        for snapshot in sorted(filter(re.compile(SNAPSHOT).fullmatch, os.listdir(self.file(self.top))), reverse=True):
            if os.path.exists(self.file(f"{self.top}/{snapshot}/manifest.json")):
                try:
                    return self.manifest(snapshot)
                except (Damage, OSError) as problem:
                    print("warning:", snapshot, "is passed over:", *str(problem).split(), file=sys.stderr)
        raise Damage(f"{self.top}/: has no snapshot that can be read and believed")

    def learn_packs(self, manifest):
        """Keeps size and SHA-256 of all packs that the snapshot needs."""
        own = manifest["snapshotId"]
        with shape(f"{self.top}/{own}/manifest.json: packs or closure"):
            listed = [(f"{own}/{pack['name']}", pack["bytes"], pack["sha256"]) for pack in manifest["packs"]]
            if manifest["kind"] == "incremental":
                closure = manifest["closure"]
                key = f"{self.top}/{snapshot_id(closure['snapshotId'])}/closure.zst"
                data = self.read(key, number(json.dumps(closure["bytes"])))
                need(sha256(data) == closure["sha256"], f"{key}: its SHA-256 is wrong")
                need(len(data) == closure["bytes"], f"{key}: its size is wrong")
                one_frame(data, key)
                plain = run(key, data, "zstd", "-dcq")
                need(len(plain) <= MAX_CLOSURE, f"{key}: is larger than {MAX_CLOSURE} bytes")
                first, *lines, end = plain.decode().split("\n")
                need(first == "mailark-closure/1" and not end, f"{key}: is not a closure")
                need(len(lines) == closure["packs"], f"{key}: has {len(lines)} rows")
                for pack, size, sha, crc in (line.split("\t") for line in lines):
                    form("[0-9a-f]{16}")(crc)
                    listed.append((pack, number(size), sha))
            for pack, size, sha in listed:
                said = number(json.dumps(size)), digest(sha)
                need(self.packs.setdefault(pack_id(pack), said) == said, f"{pack}: manifest and closure contradict")

    @functools.cache
    def identities(self, owner, key_id):
        """An identity file with the private key of an owner, from the keyring."""
        key = f"keyring/{self.host}/{owner}/{key_id}.age"
        plain = run(key, self.read(key, MAX_STORED), "age", "-d", "-i", self.identity)
        need(re.fullmatch(rb"(#[^\n]*\n)*AGE-SECRET-KEY-1[0-9A-Z]+\n", plain), f"{key}: does not hold an identity")
        return self.keep(f"{owner}.{key_id}", plain)

    def segment(self, owner, key_id, pack, offset, length):
        key = f"{self.top}/{pack}.pack"
        what = f"{key}: segment of {length} bytes at {offset}"
        need(pack in self.packs, f"{key}: is referred to, but not among the packs that the snapshot needs")
        size, sha = self.packs[pack]
        need(0 < length <= MAX_STORED and offset + length <= size, f"{what}: has impossible bounds")
        with open(self.file(key), "rb") as file:
            if pack not in self.sound:
                need(os.fstat(file.fileno()).st_size == size, f"{key}: its size is not {size}")
                need(hashlib.file_digest(file, "sha256").hexdigest() == sha, f"{key}: its SHA-256 is wrong")
                self.sound.add(pack)
            file.seek(offset)
            sealed = file.read(length)
        need(sealed.startswith(b"age-encryption.org/v1\n"), f"{what}: not a binary age file")
        frame = run(what, sealed, "age", "-d", "-i", self.identities(owner, key_id))
        stated = one_frame(frame, what)
        need(stated is not None and 1 <= stated <= MAX_PLAIN, f"{what}: states {stated} bytes of content")
        plain = run(what, frame, "zstd", "-dcq")
        need(len(plain) == stated, f"{what}: has {len(plain)} bytes of content, not {stated}")
        return plain

    def part(self, manifest, name):
        what, plain = f"{self.top}/{manifest['snapshotId']}/manifest.json: part {name}", []
        with shape(what):
            (part,) = [part for part in manifest["parts"] if part["name"] == name]
            for extent in part["extents"]:
                offset = number(json.dumps(extent["offset"]))
                for length in extent["segments"]:
                    plain.append(self.segment("host", key_id(extent["keyId"]), extent["pack"], offset, length))
                    offset += length
            whole = b"".join(plain)
            need(len(whole) == part["bytes"] and sha256(whole) == part["sha256"], f"{what}: size or SHA-256 is wrong")
        return whole


# ------------------------------------------------------------------------------- ---------- §8.1: index of a mailbox
class Mailbox:
    """What an index adds up to. Paths are bytes below the mailbox."""

    def __init__(self, owner, pieces):
        self.owner, self.what, self.path = owner, f"index of mailbox {owner}", None
        self.archives, self.entries, self.messages = {}, {}, {}  # N → segments, PATH → fields, (FOLDER, BASE) → fields
        for where, word, (first, *rest) in rows(pieces, INDEX_ROWS, self.what):
            if word == "mailbox":
                self.path, self.uid, self.gid, self.archives, self.entries, self.messages = first, *rest, {}, {}, {}
            elif word == "archive":
                self.archives.setdefault(first, []).append(rest)
            elif word == "put":
                state, info, base, *content = rest
                need(base + info not in (b"", b".", b".."), f"{where}: not the name of a file")
                self.messages[first, base] = state, info, *content
            elif word == "delete":
                self.messages.pop((first, *rest), None)
            elif word == "remove":
                if self.entries.pop(first, [None])[0] == "folder":
                    self.messages = {key: fields for key, fields in self.messages.items() if key[0] != first}
            else:
                need(self.entries.get(first, [word])[0] == word, f"{where}: is something else, and not removed before")
                self.entries[first] = word, *rest
        need(self.path is not None, f"{self.what}: has no row 'mailbox'")

    def lay_out(self):
        """Directories as path → MODE, parents first; contents as N → SHA256 → [(path, MODE, SIZE, MTIME)]; the summary.
        One path is one thing, and has a directory of the mailbox above it, so nothing goes through a link or a file."""
        directories, files, contents, lines = {}, [], {}, []
        kinds = {path: kind for path, (kind, *_) in self.entries.items()}
        for path, (kind, *fields) in sorted(self.entries.items(), key=lambda item: (item[0] != b".", item[0])):
            what, parent = f"{self.what}: {escape(path)!r}", os.path.dirname(path) or b"."
            need(kinds.get(parent) in ("folder", "directory"), f"{what}: is not in a directory of the mailbox")
            if kind in ("folder", "directory"):
                directories[path] = fields[0]
            elif kind == "file":
                files.append((path, *fields))
            for part in (b"cur", b"new", b"tmp") if kind == "folder" else ():
                inner = path + b"/" + part
                need(inner.removeprefix(b"./") not in kinds, f"{what}: its {part.decode()} is something else too")
                directories[inner] = fields[0]
        for (folder, base), (state, info, *content) in self.messages.items():
            need(kinds.get(folder) == "folder", f"{self.what}: a message in {escape(folder)!r}, which is no folder")
            files.append((folder + b"/" + state.encode() + b"/" + base + info, *content))
            fields = escape(folder), state, escape(info), escape(base), *map(str, content[:-1])
            lines.append(("\t".join(fields) + "\n").encode())
        for *file, sha, archive in files:
            contents.setdefault(archive, {}).setdefault(sha, []).append(file)
        return directories, contents, {
            "mailbox": escape(self.path), "messages": len(lines), "folders": [*kinds.values()].count("folder"),
            "files": len(files) - len(lines), "bytes": sum(size for _path, _mode, size, *_ in files),
            "digest": sha256(b"".join(sorted(lines))),
        }


# ----------------------------------------------------------------------------------------------------- writing, main
def unpack(pieces, wanted, what, finish):
    """Writes the members of an archive that are wanted, each to all of its paths."""
    view, missing = memoryview(b""), set(wanted)

    def read(size):
        nonlocal view
        data = bytearray()
        while len(data) < size:
            view = view or memoryview(next(pieces, b""))
            need(view, f"{what}: is cut off")
            more, view = view[: size - len(data)], view[size - len(data) :]
            data += more
        return data

    octal = form("[0-7]+[ \0]*", lambda text: int(text.rstrip(" \0"), 8))
    while any(header := read(512)):
        with shape(f"{what}: header {bytes(header[:100])!r}"):
            text = header.decode("latin-1")
            need(octal(text[148:156]) == sum(header) - sum(header[148:156]) + 8 * 32, f"{what}: a checksum is wrong")
            sha, size = digest(text[:100].rstrip("\0")), octal(text[124:136])
            need(text[257:265] == "ustar\x0000" and text[156] == "0", f"{what}: member {sha} is not a regular file")
            need(not any(header[345:500]), f"{what}: member {sha} has a prefix")
        content = read(size + -size % 512)[:size]
        need(sha256(content) == sha, f"{what}: the SHA-256 of member {sha} is {sha256(content)}")
        need(sha in missing or sha not in wanted, f"{what}: member {sha} is there twice")
        missing.discard(sha)
        for path, mode, expected, mtime in wanted.get(sha, []):
            need(expected == size, f"{what}: {sha} has {size} bytes, not {expected} as of {escape(path)!r}")
            with open(path, "xb") as file:
                file.write(content)
            finish(path, mode)
            seconds, _, decimals = mtime.partition(".")
            os.utime(path, ns=(int(seconds + decimals.ljust(9, "0")),) * 2)
    need(not any(read(512)), f"{what}: has one block of zeros only")
    need(not view and next(pieces, None) is None, f"{what}: goes on behind its end")
    need(not missing, f"{what}: {len(missing)} contents are missing, such as {min(missing, default='')}")


def write(store, mailbox, chown):
    """Writes a mailbox into the working directory. Its summary."""

    def finish(path, mode=None):
        if chown:
            os.lchown(path, mailbox.uid, mailbox.gid)
        if mode:
            os.chmod(path, int(mode, 8))

    directories, contents, summary = mailbox.lay_out()
    for path in directories:
        os.makedirs(path, exist_ok=True)
    for archive, wanted in contents.items():
        what = f"archive {archive} of mailbox {mailbox.owner}"
        need(archive in mailbox.archives, f"{what}: has no row in the index")
        pieces = (store.segment(mailbox.owner, *segment) for segment in mailbox.archives[archive])
        unpack(pieces, wanted, what, finish)
    for path, (kind, target, *_) in mailbox.entries.items():  # links last: nothing is ever written through one
        if kind == "link":
            os.symlink(target, path)
            finish(path)
    for path in reversed(directories):  # modes at the end: they may forbid to write
        finish(path, directories[path])
    return summary


def find(store, table, wanted):
    """The mailbox at a path. Only its index says where a mailbox is; damage of others does not matter."""
    indexes, unread = {}, []  # OWNER → segments, of every mailbox in the snapshot
    for where, word, (owner, *segment) in rows([table], TABLE_ROWS, "part mailboxes"):
        if word == "mailbox":
            indexes[owner] = []
        elif word == "gone":
            indexes.pop(owner, None)
        else:
            need(owner in indexes, f"{where}: no row 'mailbox' before it")
            indexes[owner].append(segment)
    for owner, segments in indexes.items():
        try:
            mailbox = Mailbox(owner, (store.segment(owner, *segment) for segment in segments))
            if mailbox.path == wanted:
                return mailbox
        except (Damage, OSError) as problem:
            unread.append(f"mailbox {owner} can not be read: {problem}")
    raise Damage("; ".join([f"{escape(wanted)}: is not in what can be read of the snapshot", *unread]))


def main():
    parser = argparse.ArgumentParser(description="Restores one mailbox from a mailark store.")
    parser.add_argument("--chown", action="store_true", help="give everything to the UID and GID of the index")
    parser.add_argument("--fingerprint", type=digest, help="of the host's signing key, from the recovery sheet")
    host, snapshot = form("[A-Za-z0-9][A-Za-z0-9._:-]{1,127}"), form("latest|" + SNAPSHOT)
    for argument, parse in ("STORE", os.path.abspath), ("HOST", host), ("SNAPSHOT", snapshot), \
            ("IDENTITY", os.path.abspath), ("MAILBOX", path), ("OUTPUT", os.path.abspath):
        parser.add_argument(argument.lower(), metavar=argument, type=parse)
    options = parser.parse_args()
    os.umask(0o077)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            store = Store(options.store, options.host, options.identity, options.fingerprint, scratch)
            manifest = store.latest() if options.snapshot == "latest" else store.manifest(options.snapshot)
            store.learn_packs(manifest)
            mailbox = find(store, store.part(manifest, "mailboxes"), options.mailbox)
            os.makedirs(options.output, exist_ok=True)
            os.chdir(options.output)
            need(not os.listdir(), f"{options.output}: is not new or empty")
            print(json.dumps({"snapshot": manifest["snapshotId"]} | write(store, mailbox, options.chown)))
    except (Damage, OSError, OverflowError) as problem:
        sys.exit(" ".join(["error:", *str(problem).split()]))


if __name__ == "__main__":
    main()
