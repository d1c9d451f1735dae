#!/bin/sh
# The bench's works by the curl program: files BASE CA ENCODING CONNECTIONS DIRECTORY NAME… | first BASE
# Its start counts, too: some 15 ms.
set -eu
verb=$1
base=$2
if [ "$verb" = first ]; then
  exec curl -sS --fail -o /dev/null --noproxy '*' -H "Authorization: Bearer t" -A peer "$base/v1/batch-query/jobs/j1"
fi
ca=$3 encoding=$4 connections=$5 directory=$6
shift 6
count=$#
for name; do
  set -- "$@" -o "$directory/$name" "$base/v1/files/$name"
  shift
done
if [ "$count" -gt 1 ]; then set -- -Z --parallel-max "$connections" --parallel-immediate "$@"; fi
if [ "$ca" != - ]; then set -- --cacert "$ca" "$@"; fi
if [ "$encoding" != - ]; then set -- --compressed "$@"; fi
line=$(build/bench/spent 1 curl -sS --fail --noproxy '*' -H "Authorization: Bearer t" -A peer "$@")
bytes=$(cat "$directory"/* | wc -c)
echo "${line%% count=*} count=$count check=$bytes"
