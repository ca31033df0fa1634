#!/bin/sh
# Restores one snapshot from a copy of a mailark store with age, zstd, tar, jq, awk and coreutils. format.md says how it works.
set -eu
[ $# -eq 6 ] || { echo "usage: sh restore.sh STORE HOST COMPONENT SNAPSHOT|latest IDENTITY TARGET" >&2; exit 2; }
store=$1 host=$2 component=$3 snapshot=$4 identity=$5 target=$6 base=$1/hosts/$2/$3
die() { echo "Error: $*" >&2; exit 1; }
export LC_ALL=C; umask 077
[ "$snapshot" != latest ] || snapshot=$(ls "$base"/*/manifest.json | sort | tail -n 1 | awk -F/ '{print $(NF-1)}')
[ -f "$base/$snapshot/manifest.json" ] || die "there is no snapshot $snapshot of $component"
[ ! -e "$target" ] || [ -z "$(ls -A "$target")" ] || die "$target is not empty"
mkdir -p "$target"; target=$(cd "$target" && pwd); work=$(mktemp -d "$target.XXXXXX")
trap 'rm -rf "$work"' EXIT; trap 'exit 130' HUP INT TERM
head -n 1 "$base/$snapshot/manifest.json" > "$work/manifest"
mkdir "$work/keys" "$work/chains"; cat "$identity" > "$work/keys/host"
for sealed in "$store/keyring/$host"/*/*.age; do # a key that does not open is missed below, if anything needs it
  owner=${sealed%/*}; age -d -i "$identity" "$sealed" >> "$work/keys/${owner##*/}" || echo "can not open $sealed" >&2
done
segment() { # OWNER PACK OFFSET BYTES: its plain bytes
  tail -c "+$(($3 + 1))" "$base/$2.pack" | head -c "$4" > "$work/sealed"
  age -d -i "$work/keys/$1" "$work/sealed" > "$work/frame" && zstd -dcq "$work/frame" || die "$base/$2.pack is damaged at byte $3"
}
part() { # NAME FILE
  jq -r --arg name "$1" '.parts[] | select(.name == $name) | .extents[] | .pack as $pack | foreach .segments[] as $bytes
    ([.offset, 0]; [add, $bytes]; "\($pack) \(.[0]) \(.[1])")' "$work/manifest" > "$work/list"
  : > "$2"; while read -r pack offset bytes; do segment host "$pack" "$offset" "$bytes" >> "$2"; done < "$work/list"
  jq -r --arg name "$1" --arg file "$2" '.parts[] | select(.name == $name) | "\(.sha256)  \($file)"' "$work/manifest" |
    sha256sum -c --quiet >&2 || die "part $1 is damaged"
}
if [ "$component" != mail ]; then
  for name in $(jq -r '.parts[].name' "$work/manifest"); do part "$name" "$target/$name"; echo "$target/$name"; done; exit
fi
part mailboxes "$work/table"
awk -F '\t' -v to="$work/chains/" '$1 == "mailbox" { on[$2] = 1; rows[$2] = "" } $1 == "gone" { delete on[$2] }
  $1 == "index" { rows[$2] = rows[$2] $4 " " $5 " " $6 "\n" }
  END { for (o in on) { printf "%s", rows[o] > (to o); close(to o) } }' "$work/table"
for chain in "$work/chains"/*; do
  [ -e "$chain" ] || continue; owner=${chain##*/}; rm -rf "$work/got"; mkdir "$work/got"; : > "$work/index"
  while read -r pack offset bytes; do segment "$owner" "$pack" "$offset" "$bytes" >> "$work/index"; done < "$chain"
  awk -F '\t' -v got="$work/got" -v list="$work/list" 'function h(c) { return index("0123456789ABCDEF", c) - 1 }
    function un(s, r) { while (match(s, /%../)) { r = r substr(s, 1, RSTART - 1) sprintf("%c", h(substr(s, RSTART + 1, 1)) * 16 + h(substr(s,
      RSTART + 2, 1))); s = substr(s, RSTART + 3) } r = r s; gsub(/\047/, "\047\\\047\047", r); return r }
    function q(s) { if (s != "." && ("/" un(s) "/") ~ /\/(\.|\.\.|)\//) { bad = 1; exit 1 } return "\047./" un(s) "\047" }
    function drop(p, k) { delete link[p]; delete file[p]; delete dir[p]; if (p in folder) for (k in put) if (index(k, p FS) == 1) delete put[k]
      delete folder[p] } function bring(sha, time, to) { print "cp \047" got "/" sha "\047", to; print "touch -d @" time, to }
    $1 == "mailbox" { split("", put); split("", file); split("", link); split("", dir); split("", folder); top = $2; own = $4 ":" $5 }
    $1 == "archive" { n[$2] = n[$2] $4 " " $5 " " $6 " " $2 "\n" } $1 == "put" { put[$2 FS $5] = $2 "/" $3 "/" $5 $4 FS $8 FS $7 }
    $1 == "folder" { k = $2 in folder; if (!k) drop($2); folder[$2] = $3 } $1 == "directory" { drop($2); dir[$2] = $3 }
    $1 == "file" { drop($2); file[$2] = $3 FS $6 FS $5 } $1 == "link" { drop($2); link[$2] = $3 }
    $1 == "delete" { delete put[$2 FS $3] } $1 == "remove" { drop($2) }
    END { if (bad) exit 1; for (i in n) printf "%s", n[i] > list; close(list); print "set -eu; mkdir -p", q(top), "; cd", q(top)
      for (p in dir) print "mkdir -p", q(p); for (p in folder) print "mkdir -p", q(p "/cur"), q(p "/new"), q(p "/tmp")
      for (k in put) { split(put[k], f); bring(f[2], f[3], q(f[1])) } for (p in file) { split(file[p], f); bring(f[2], f[3], q(p))
        print "chmod", f[1], q(p) } for (p in folder) print "chmod -R u=rw,g=,o=,u+X", q(p "/cur"), q(p "/new"), "; chmod", folder[p], q(p), q(p
        "/cur"), q(p "/new"), q(p "/tmp"); for (p in dir) print "chmod", dir[p], q(p); for (p in link) print "ln -s \047" un(link[p]) "\047", q(p)
      print "[ $(id -u) -ne 0 ] || chown -hR", own, "." }' "$work/index" > "$work/plan" || die "an index of $owner has an unsafe path"
  while read -r pack offset bytes n; do segment "$owner" "$pack" "$offset" "$bytes" >> "$work/got/$n.tar"; done < "$work/list"
  for tar in "$work/got"/*.tar; do [ -e "$tar" ] || continue
    ! tar -tvf "$tar" | awk '$1 !~ /^-/ || length($NF) != 64 || $NF ~ /[^0-9a-f]/' | grep -q . || die "an archive of $owner has a foreign member"
    tar -xf "$tar" -C "$work/got"; rm "$tar"
  done
  (cd "$work/got" && for sha in *; do [ ! -e "$sha" ] || echo "$sha  $sha"; done | sha256sum -c --quiet >&2) || die "a message of $owner is damaged"
  (cd "$target" && sh "$work/plan") || die "a mailbox of $owner could not be written"; echo "$owner: $(grep -c '^touch' "$work/plan") files"
done
