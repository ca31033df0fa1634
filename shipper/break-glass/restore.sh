#!/bin/sh
# Restores one snapshot from a copy of a mailark store with age, zstd, tar, jq, awk and coreutils. format.md says how it works.
set -eu
[ $# -eq 6 ] || { echo "usage: sh restore.sh STORE HOST COMPONENT SNAPSHOT|latest IDENTITY TARGET" >&2; exit 2; }
store=$1 host=$2 component=$3 snapshot=$4 identity=$5 target=$6 base=$1/hosts/$2/$3; export LC_ALL=C; umask 077
die() { echo "Error: $*" >&2; exit 1; }
[ "$snapshot" != latest ] || snapshot=$(ls "$base"/*/manifest.json | sort | tail -n 1 | awk -F/ '{ print $(NF - 1) }')
[ -f "$base/$snapshot/manifest.json" ] || die "there is no snapshot $snapshot of $component"
[ ! -e "$target" ] || [ -z "$(ls -A "$target")" ] || die "$target is not empty"
mkdir -p "$target"; target=$(cd "$target" && pwd); work=$(mktemp -d "$target.XXXXXX"); mkdir "$work/keys" "$work/chains"
trap 'rm -rf "$work"' EXIT; trap 'exit 130' HUP INT TERM
head -n 1 "$base/$snapshot/manifest.json" > "$work/manifest"; cat "$identity" > "$work/keys/host"
for sealed in "$store/keyring/$host"/*/*.age; do # a key that does not open is missed below, if anything needs it
  owner=${sealed%/*}; age -d -i "$identity" "$sealed" >> "$work/keys/${owner##*/}" || echo "can not open $sealed" >&2
done
segment() { # OWNER PACK OFFSET BYTES: its plain bytes
  tail -c "+$(($3 + 1))" "$base/$2.pack" | head -c "$4" > "$work/sealed"
  age -d -i "$work/keys/$1" "$work/sealed" > "$work/frame" || die "no key opens $base/$2.pack at byte $3, or it is damaged"
  zstd -dcq "$work/frame" || die "$base/$2.pack is damaged at byte $3"
}
part() { # NAME FILE
  jq -r --arg name "$1" '.parts[] | select(.name == $name) | .extents[] | .pack as $pack | foreach .segments[] as $bytes
    ([.offset, 0]; [add, $bytes]; "\($pack) \(.[0]) \(.[1])")' "$work/manifest" > "$work/list"
  : > "$2"; while read -r pack offset bytes; do segment host "$pack" "$offset" "$bytes" >> "$2"; done < "$work/list"
  sum=$(jq -r --arg name "$1" '.parts[] | select(.name == $name) | .sha256' "$work/manifest")
  echo "$sum  $2" | sha256sum -c --quiet >&2 || die "part $1 is damaged"
}
if [ "$component" != mail ]; then
  for name in $(jq -r '.parts[].name' "$work/manifest"); do part "$name" "$target/$name"; echo "$target/$name"; done; exit
fi
part mailboxes "$work/table"
awk -F '\t' -v to="$work/chains/" '$1 == "mailbox" { on[$2] = 1; rows[$2] = "" } $1 == "gone" { delete on[$2] }
  $1 == "index" { rows[$2] = rows[$2] $4 " " $5 " " $6 "\n" } END { for (o in on) { printf "%s", rows[o] > (to o); close(to o) } }' "$work/table"
cat > "$work/replay.awk" <<'AWK'
function hex(s, at) { return index("123456789ABCDEF", substr(s, at, 1)) }
function name(s, r, i) { while (i = index(s, "%")) { r = r substr(s, 1, i - 1) sprintf("%c", hex(s, i + 1) * 16 + hex(s, i + 2))
  s = substr(s, i + 3) } r = r s; gsub(/\047/, "\047\\\047\047", r); return r }
function q(s) { if (s != "." && ("/" name(s) "/") ~ /\/(\.|\.\.|)\//) bad = 1; return "\047./" name(s) "\047" }
function bring(row, f, to) { split(row, f); to = q(f[1]); print "cp \"$got/" f[4] "\"", to "; touch -d @" f[3], to "; chmod", f[2], to }
$1 == "mailbox" { split("", put); split("", file); split("", link); split("", dir); split("", folder); top = $2; owner = $3 ":" $4 }
$1 == "archive" { print $4, $5, $6, $2 > list } $1 == "delete" { delete put[$2 FS $3] } $1 == "folder" { folder[$2] = $3 }
$1 == "put" { put[$2 FS $5] = $2 "/" $3 "/" $5 $4 FS $6 FS $8 FS $9 } $1 == "file" { file[$2] = $2 FS $3 FS $5 FS $6 }
$1 == "directory" { dir[$2] = $3 } $1 == "link" { link[$2] = $3 }
$1 == "remove" { delete folder[$2]; delete dir[$2]; delete file[$2]; delete link[$2]; for (k in put) if (index(k, $2 FS) == 1) delete put[k] }
END { print "set -eu; mkdir -p " q(top) "; cd " q(top); for (p in dir) print "mkdir -p", q(p)
  for (p in folder) print "mkdir -p", q(p "/cur"), q(p "/new"), q(p "/tmp"); for (k in put) bring(put[k]); for (p in file) bring(file[p])
  for (p in link) print "ln -s \047" name(link[p]) "\047", q(p); print "[ $(id -u) -ne 0 ] || chown -hR", owner, "."
  for (p in dir) print "chmod", dir[p], q(p); for (p in folder) print "chmod", folder[p], q(p), q(p "/cur"), q(p "/new"), q(p "/tmp"); exit bad }
AWK
for chain in "$work/chains"/*; do
  [ -e "$chain" ] || continue; owner=${chain##*/}; rm -rf "$work/got"; mkdir "$work/got"; : > "$work/index"; : > "$work/list"
  while read -r pack offset bytes; do segment "$owner" "$pack" "$offset" "$bytes" >> "$work/index"; done < "$chain"
  awk -F '\t' -v list="$work/list" -f "$work/replay.awk" "$work/index" > "$work/plan" || die "an index of $owner is unsafe"
  while read -r pack offset bytes n; do segment "$owner" "$pack" "$offset" "$bytes" >> "$work/got/$n.tar"; done < "$work/list"
  for tar in "$work/got"/*.tar; do [ ! -e "$tar" ] || { tar -xf "$tar" -C "$work/got" && rm "$tar" || die "an archive of $owner is damaged"; }; done
  (cd "$work/got" && ls | sed 's/.*/&  &/' > "$work/sums" && { [ ! -s "$work/sums" ] || sha256sum -c --quiet "$work/sums"; }) ||
    die "a content of $owner is damaged"
  (cd "$target" && got=$work/got sh "$work/plan") || die "a mailbox of $owner could not be written"
  echo "$owner: $(grep -c '^cp ' "$work/plan") files"
done
