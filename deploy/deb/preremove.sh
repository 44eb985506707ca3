#!/bin/sh
# During an upgrade the service runs on, until postinstall.sh restarts it.
set -e
[ "$1" = remove ] && [ -d /run/systemd/system ] || exit 0
systemctl disable --now roster.service
