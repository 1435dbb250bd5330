#!/bin/sh
# What a new household needs once: the demo, unless DOSETTE_DEMO=0, and its virtual panel, paired. Run at every
# `docker compose up`; what is there stays.
set -eu
device=/var/lib/dosette/device/device.json

[ "${DOSETTE_DEMO:-1}" = 0 ] || dosette demo

if [ -e "$device" ]; then
  echo "the virtual panel is paired already"
elif dosette device pair --name Kitchen --out "$device" --redis redis:6379 --server "$DOSETTE_SERVER"; then
  echo "the virtual panel is paired"
elif [ "${DOSETTE_DEMO:-1}" = 0 ]; then
  echo "the virtual panel stays unpaired; once there is a household, run: docker compose up -d" >&2
else
  exit 1
fi
