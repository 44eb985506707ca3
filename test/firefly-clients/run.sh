#!/usr/bin/env bash
# Tries clients that were written for Firefly III against a Roster of its own. Needs Go, Node.js, npm and its registry.
# Without arguments the Roster keeps its users in SQLite; DATABASE_URL names another database, which must be empty.
set -euo pipefail
cd "$(dirname "$0")"

scratch=$(mktemp -d)
roster=
trap '[ -z "$roster" ] || kill "$roster" 2>/dev/null || true; rm -rf "$scratch"' EXIT

npm ci --ignore-scripts --no-audit --no-fund
(cd ../.. && go build -o "$scratch/roster" ./cmd/roster)

export ROSTER_ADMIN_TOKEN=token-of-the-client-test-0123456789
DATABASE_URL=${DATABASE_URL:-sqlite:$scratch/roster.db} ROSTER_ADDR=127.0.0.1:0 \
	"$scratch/roster" serve >"$scratch/out" 2>"$scratch/log" &
roster=$!
for _ in $(seq 100); do
	address=$(sed -n 's|^Roster is ready at \(http://[^,]*\),.*|\1|p' "$scratch/out")
	[ -z "$address" ] || break
	kill -0 "$roster" || { cat "$scratch/log"; exit 1; }
	sleep 0.1
done
node check.mjs "$address" || { cat "$scratch/log"; exit 1; }
