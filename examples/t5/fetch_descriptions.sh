#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fetches what apt knows of all packages, with the long descriptions, into a folder of its own:
#   examples/t5/fetch_descriptions.sh FOLDER     writes FOLDER/Packages and FOLDER/Translation-en
# The system's own lists, cache and settings stay as they are; root is not needed. What is there
# already is used again.
set -euo pipefail
if [ $# -ne 1 ]; then
    echo "usage: $0 FOLDER" >&2
    exit 2
fi
if [ -s "$1/Packages" ] && [ -s "$1/Translation-en" ]; then
    echo "package descriptions: $1 has them already"
    exit 0
fi
helper=/usr/lib/apt/apt-helper
if ! command -v apt-get >/dev/null || [ ! -x "$helper" ]; then
    echo "zeropp: $0: no apt-get found, expected Debian or Ubuntu" >&2
    exit 1
fi
mkdir -p "$1"
folder=$(cd "$1" && pwd)
apt=$folder/apt
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"

# After the system's configuration: hooks and files that the descriptions do not need are left out.
cat >"$apt/apt.conf" <<CONF
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear Acquire::Languages;
#clear Acquire::IndexTargets::deb-src;
Acquire::Languages { "en"; };
Dir::State::lists "$apt/lists/";
Dir::Cache "$apt/cache/";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
APT::Sandbox::User "$(id -un)";
Acquire::Retries "3";
CONF
options=(-c "$apt/apt.conf")
# Other indexes that packages such as apt-file and appstream have asked for.
for target in $(apt-config "${options[@]}" dump | sed -n 's/^Acquire::IndexTargets::deb::\([^:]*\).*/\1/p' | sort -u); do
    case $target in
    Packages | Translations) ;;
    *) options+=(-o "Acquire::IndexTargets::deb::$target::DefaultEnabled=false") ;;
    esac
done
apt-get "${options[@]}" -qq update

for kind in Packages Translation-en; do
    files=()
    for file in "$apt"/lists/*_"$kind" "$apt"/lists/*_"$kind".*; do
        [ ! -f "$file" ] || files+=("$file")
    done
    if [ ${#files[@]} -eq 0 ]; then
        echo "zeropp: $0: apt fetched no $kind file, expected one of each source; see /etc/apt/sources.list" >&2
        exit 1
    fi
    # Each file ends its last paragraph itself; the empty line parts it from the next file's first.
    for file in "${files[@]}"; do
        "$helper" "${options[@]}" cat-file "$file"
        echo
    done >"$folder/$kind.part"
    mv "$folder/$kind.part" "$folder/$kind"
done
rm -r "$apt"
echo "package descriptions: $(grep -c '^Description-md5:' "$folder/Translation-en") texts in $folder"
