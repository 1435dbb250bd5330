#!/bin/sh
# What a new household needs once: the demo, unless DOSETTE_DEMO=0, and its virtual panel, paired. Run at every
# `docker compose up`; what is there stays.
set -eu
device=/var/lib/dosette/device

case "$DOSETTE_DEMO" in
0) ;;
1) dosette demo ;;
*)  # "false" must not put three strangers and their medicines into a real household
  echo "DOSETTE_DEMO=$DOSETTE_DEMO: must be 0 or 1" >&2
  exit 1 ;;
esac

if [ -e "$device/device.json" ]; then
  echo "the virtual panel is paired already"
elif dosette device pair Kitchen --into "$device" --redis redis:6379 --server "http://127.0.0.1:$PORT"; then
  echo "the virtual panel is paired"
elif [ "$DOSETTE_DEMO" = 0 ]; then
  echo "the virtual panel stays unpaired; once there is a household, run: docker compose up -d" >&2
else
  exit 1
fi
