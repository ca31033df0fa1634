#!/bin/sh
# Restores one snapshot from a copy of a mailark store with age, zstd, tar, jq, awk and coreutils. format.md says how it works. A host
# may have been taken over: nothing stored becomes a command, a path or a number here unless it has exactly the form of one.
[ $# -eq 6 ] || { echo "usage: sh restore.sh STORE HOST COMPONENT SNAPSHOT|latest IDENTITY TARGET" >&2; exit 2; }
set -eu; store=$1 host=$2 component=$3 snapshot=$4 identity=$5 target=$6 base=$1/hosts/$2/$3; die() { echo "Error: $*" >&2; exit 1; }
[ "$snapshot" != latest ] || snapshot=$(ls "$base"/*/manifest.json | sort | tail -n 1 | awk -F/ '{ print $(NF - 1) }')
[ -f "$base/$snapshot/manifest.json" ] || die "there is no snapshot $snapshot of $component"
[ ! -e "$target" ] || [ -z "$(ls -A "$target")" ] || die "$target is not empty"
umask 077; mkdir -p "$target"; target=$(cd "$target" && pwd); work=$(mktemp -d "$target.XXXXXX"); mkdir "$work/keys" "$work/chains"
trap 'rm -rf "$work"' EXIT; trap 'exit 130' HUP INT TERM; export work LC_ALL=C
head -n 1 "$base/$snapshot/manifest.json" > "$work/manifest"; cat "$identity" > "$work/keys/host"
jq -r 'select(.completeness != "complete") | "Warning: the snapshot is partial, some things are missing: \(.warnings)"' "$work/manifest" >&2
for sealed in "$store/keyring/$host"/*/*.age; do # a key that does not open is missed below, if anything needs it
  owner=${sealed%/*}; age -d -i "$identity" "$sealed" >> "$work/keys/${owner##*/}" || echo "can not open $sealed" >&2
done; form='(host|[a-z2-7]{26}) [0-9]{8}T[0-9]{6}\.[0-9]{3}Z-[0-9a-z]{10}/[0-9]{4,9} (0|[1-9][0-9]{0,14}) [1-9][0-9]{0,8}'
segment() { printf '%s\n' "$*" | grep -Eqx "$form" || die "a reference of $1 to a pack is unsafe" # OWNER PACK OFFSET BYTES: its plain bytes
  tail -c "+$(($3 + 1))" "$base/$2.pack" | head -c "$4" | age -d -i "$work/keys/$1" > "$work/frame" \
    || die "no key opens $base/$2.pack at byte $3, or it is damaged"; zstd -dcq "$work/frame" || die "$base/$2.pack is damaged at byte $3"; }
part() { printf '%s\n' "$1" | grep -Eqx '[a-z]+(-[0-9]{4,9})?' || die "the name of a part is unsafe" # NAME FILE
  jq -r --arg name "$1" '.parts[] | select(.name == $name) | .extents[] | .pack as $pack | foreach .segments[] as $bytes
    ([.offset, 0]; [add, $bytes]; "\($pack) \(.[0]) \(.[1])")' "$work/manifest" > "$work/list"
  : > "$2"; while read -r pack offset bytes; do segment host "$pack" "$offset" "$bytes" >> "$2"; done < "$work/list"
  jq -r --arg name "$1" '.parts[] | select(.name == $name) | "\(.sha256)  -"' "$work/manifest" > "$work/sum"
  [ "$(sha256sum < "$2")" = "$(cat "$work/sum")" ] || die "part $1 is damaged"; }
if [ "$component" != mail ]; then jq -r '.parts[].name' "$work/manifest" > "$work/names"
  while read -r name; do part "$name" "$target/$name"; echo "$target/$name"; done < "$work/names"; exit
fi; part mailboxes "$work/table"; cat > "$work/replay.awk" <<'AWK'
BEGIN { mode = "[0-7][0-7][0-7][0-7]"; number = "0|[1-9][0-9]*"; time = "-?[0-9]+([.][0-9]+)?"; while (n++ < 64) hash = hash "[0-9a-f]"
  message = "(cur|new)/[^:/]+/(:[^/]*)?"; for (n = 1; n < 256; n++) { s = sprintf("%c", n); if (s !~ /[!-$&-~]/) byte[sprintf("%%%02X", n)] = s } }
function is(s, form) { if (s !~ "^(" form ")$") bad = 1; return "'" s "'" } function on(d, s) { return d == "." ? s : d "/" s }
function name(s, r, i, e) { if (s ~ /[^!-~]/) bad = 1; for (; i = index(s, "%"); s = substr(s, i + 3)) { e = substr(s, i, 3)
  if (!(e in byte)) bad = 1; r = r substr(s, 1, i - 1) byte[e] } r = r s; gsub(/'/, "'\\''", r); return "'" r "'" }
function q(s) { if (s != "." && ("/" s "/") ~ /\/(\.|\.\.|)\//) bad = 1; return "./" name(s) }
function at(p, d) { d = p; if (!sub("/[^/]*$", "", d)) d = "."; if (!(d in dir) || d in folder && p ~ /(^|\/)(cur|new|tmp)$/) bad = 1; return p }
function once(p) { if (seen[p]++) bad = 1; return q(p) } function inner(d) { return q(on(d, "cur")) " " q(on(d, "new")) " " q(on(d, "tmp")) }
function bring(row, f, to) { split(row, f); to = once(f[1]); print "cp \"$got\"/" f[4], to "; touch -d @" f[3], to "; chmod", f[2], to }
$1 == "mailbox" { top = $2; owner = is($3, number) ":" is($4, number); n = 0; delete put; delete file; delete link; delete dir; delete folder }
$1 == "archive" { is($2, number); archive[n++] = $2 " " $4 " " $5 " " $6 } $1 == "delete" { delete put[$2 FS $3] } $1 == "link" { link[$2] = $3 }
$1 ~ /^(folder|directory)$/ { if ($2 in dir && ($2 in folder) != ($1 == "folder")) bad = 1; dir[$2] = is($3, mode); if ($1 == "folder") folder[$2] }
$1 == "put" { is($3 "/" $5 "/" $4, message); put[$2 FS $5] = on($2, $3 "/" $5 $4) FS is($6, mode) FS is($8, time) FS is($9, hash) }
$1 == "remove" { if ($2 in folder) for (k in put) if (index(k, $2 FS) == 1) delete put[k]; delete folder[$2]; delete dir[$2]
  delete file[$2]; delete link[$2] } $1 == "file" { file[$2] = $2 FS is($3, mode) FS is($5, time) FS is($6, hash) }
END { work = ENVIRON["work"]; while ((getline t < (work "/tops")) > 0) if (index(t, top "/") == 1 || index(top "/", t) == 1) bad = 1
  close(work "/tops"); print top "/" >> (work "/tops"); if (top == "." || !("." in dir)) bad = 1; print "set -eu; mkdir -p", q(top) "; cd", q(top)
  for (p in dir) print "mkdir -p", once(at(p)); for (p in folder) print "mkdir -p", inner(p); for (p in file) bring(file[at(p)])
  for (k in put) { bring(put[k]); if (!(substr(k, 1, index(k, FS) - 1) in folder)) bad = 1 }
  for (p in link) print "ln -s --", name(link[p]), once(at(p)); print "[ $(id -u) -ne 0 ] || chown -hR", owner, "."
  for (p in dir) print "chmod", dir[p], q(p), ((p in folder) ? inner(p) : ""); for (i = 0; i < n; i++) print archive[i] > (work "/list"); exit bad }
AWK
awk -F '\t' '$1 == "gone" { delete rows[$2] } $1 == "mailbox" { rows[$2] = "" } $1 == "index" { if (!($2 in rows)) bad = 1
  rows[$2] = rows[$2] $4 " " $5 " " $6 "\n" } END { for (o in rows) { if (o ~ /[^a-z2-7]/ || length(o) != 26) exit 1
  to = ENVIRON["work"] "/chains/" o; printf "%s", rows[o] > to; close(to) } exit bad }' "$work/table" || die "the table of mailboxes is unsafe"
for owner in $(ls "$work/chains"); do rm -rf "$work/got"; mkdir "$work/got"; : > "$work/index"; : > "$work/list"
  while read -r pack offset bytes; do segment "$owner" "$pack" "$offset" "$bytes" >> "$work/index"; done < "$work/chains/$owner"
  awk -F '\t' -f "$work/replay.awk" "$work/index" > "$work/plan" || die "an index of $owner is unsafe"
  while read -r n pack offset bytes; do segment "$owner" "$pack" "$offset" "$bytes" >> "$work/got/$n.tar"; done < "$work/list"
  for tar in "$work/got"/*.tar; do [ ! -e "$tar" ] || { tar -xf "$tar" -C "$work/got" && rm "$tar" || die "an archive of $owner is damaged"; }; done
  (cd "$work/got" && ls | sed 's/.*/&  &/' > ../sums && { [ ! -s ../sums ] || sha256sum -c --quiet ../sums; }) || die "a content of $owner is damaged"
  (cd "$target" && got=$work/got sh "$work/plan") || die "a mailbox of $owner could not be written"
  echo "$owner: $(grep -c '^cp "' "$work/plan") files"; done
