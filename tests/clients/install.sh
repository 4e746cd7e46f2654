#!/usr/bin/env bash
# Installs the real clients and servers that run.py drives: Debian's packages, a virtual environment and Node modules in
# the folder given. Does again only what is missing.
set -euo pipefail
folder=${1:?usage: install.sh FOLDER}
mkdir -p "$folder"
missing=()
for tool in nginx:nginx-light curl:curl tshark:tshark certutil:libnss3-tools chromium:chromium openssl:openssl \
  iptables:iptables ip:iproute2 javac:default-jdk-headless node:nodejs npm:npm; do
  command -v "${tool%%:*}" >/dev/null || missing+=("${tool##*:}")
done
[ -e /usr/share/java/okhttp.jar ] || missing+=(libokhttp-java)
if [ ${#missing[@]} -gt 0 ]; then
  as_root=(); [ "$(id -u)" = 0 ] || as_root=(sudo)
  "${as_root[@]}" apt-get update -q
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -qy --no-install-recommends "${missing[@]}"
fi
python=$(command -v python3)
if ! "$folder/venv/bin/python" -c 'import requests, httpx, h2, websockets, grpc, socks' 2>/dev/null; then
  "$python" -m venv "$folder/venv"
  "$folder/venv/bin/pip" -q install 'requests[socks]' 'httpx[http2,socks]' websockets grpcio
fi
if [ ! -d "$folder/npm/node_modules/undici" ] || [ ! -d "$folder/npm/node_modules/https-proxy-agent" ]; then
  npm install --no-audit --no-fund --silent --prefix "$folder/npm" undici@6 ws https-proxy-agent
fi
