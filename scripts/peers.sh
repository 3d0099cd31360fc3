#!/usr/bin/env bash
# Installs, from Debian, those real peers of the tests that are missing: nginx, HAProxy and wrk for packages/http, Prometheus with
# promtool for packages/metrics and examples, Redis and Chromium for examples.
set -euo pipefail
PATH="$PATH:/usr/sbin"
missing=()
command -v nginx > /dev/null || missing+=(nginx-light)
command -v haproxy > /dev/null || missing+=(haproxy)
command -v wrk > /dev/null || missing+=(wrk)
command -v promtool > /dev/null || missing+=(prometheus)
command -v redis-server > /dev/null || missing+=(redis-server)
command -v chromium > /dev/null || missing+=(chromium)
if [ ${#missing[@]} -gt 0 ]; then
  root=()
  [ "$(id -u)" = 0 ] || root=(sudo)
  "${root[@]}" apt-get update -qq
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}"
fi
