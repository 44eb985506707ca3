#!/bin/sh
# A first installation starts nothing: "systemctl enable --now roster" does, after the settings. An upgrade restarts.
set -e
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload
systemctl try-restart roster.service
