#!/bin/sh
# Behaves like `octroi serve --config FILE` as far as a process can be seen from outside: refuses a
# configuration that says so, counts its starts, says where it listens, and drains when asked.
grep -q refuse "$3" && { echo "the configuration is refused" >&2; exit 78; }
echo started >> starts
trap 'echo drained; exit 0' TERM
cat "$3"
echo "listening on http://127.0.0.1:9"
while :; do sleep 1 >/dev/null 2>&1 & wait $!; done
