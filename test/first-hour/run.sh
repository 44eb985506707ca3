#!/usr/bin/env bash
# Does what the README says, as a newcomer would: clones the repository, runs the first command, and then every curl line
# of README.md and docs/api.md as it is printed, in order. Fails at the first that does not work. Needs port 8080.
set -euo pipefail
repository=$(cd "$(dirname "$0")/../.." && pwd)
scratch=$(mktemp -d)
server=
cleanup() {
	[ -z "$server" ] || { kill -- "-$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }
	rm -rf "$scratch"
}
trap cleanup EXIT

fail() { printf 'first-hour: %s\n' "$*" >&2; exit 1; }

git clone -q "$repository" "$scratch/roster"
cd "$scratch/roster"

# The two commands are the first two indented lines of the README.
mapfile -t commands < <(grep -E '^    (go|make|docker) ' README.md | sed 's/^    //')
[ "${#commands[@]}" -eq 2 ] || fail "the README has ${#commands[@]} commands, not two"
[ "${commands[1]}" = 'go test ./...' ] || fail "the second command is ${commands[1]}"

echo "\$ ${commands[0]}"
set -m # a process group of its own, because go run starts another process
bash -c "${commands[0]}" >"$scratch/out" 2>"$scratch/log" &
server=$!
set +m
for _ in $(seq 600); do # two minutes
	grep -q '^ *curl ' "$scratch/out" && break
	kill -0 "$server" 2>/dev/null || { cat "$scratch/log" >&2; fail 'it ended'; }
	sleep 0.2
done
TOKEN=$(grep -oE '^ +rst_[A-Za-z0-9_-]+$' "$scratch/out" | tr -d ' ' | head -n 1)
[ -n "$TOKEN" ] || fail "no token in: $(cat "$scratch/out")"
export TOKEN
link=$(grep -oE 'http://[^ ]+/console/setup[^ ]+' "$scratch/out") || fail 'no link to the console'
curl -sSf "$link" | grep -q 'Create the first administrator' || fail 'the link to the console does not work'

# samples prints each curl line of a file, with the lines that continue it, after a line of its own.
samples() {
	awk '
		/^(\$ )?curl / && !inside { sub(/^\$ /, ""); inside = 1; text = $0; if (done(text)) print_it(); next }
		inside { text = text "\n" $0; if (done(text)) print_it() }
		function done(t,  copy) { copy = t; return gsub(/\047/, "", copy) % 2 == 0 && t !~ /\\$/ }
		function print_it() { printf "%s%c", text, 0; inside = 0 }
	' "$1"
}

run() {
	printf '$ %s\n' "$1"
	bash -c 'curl() { command curl -sS --fail-with-body "$@"; }; '"$1" || fail "this does not work: $1"
	printf '\n'
}

# The line that the greeting prints, then those of the documents.
greeting=$(grep -E '^ +curl ' "$scratch/out" | sed 's/^ *//')
run "$greeting"
count=0
for file in README.md docs/api.md; do
	while IFS= read -r -d '' sample; do
		run "$sample"
		count=$((count + 1))
	done < <(samples "$file")
done
[ "$count" -ge 5 ] || fail "only $count samples were found"
for page in /docs /openapi.yaml /openapi.json /healthz /readyz /console/static/console.css; do
	curl -sSfL -o /dev/null "http://localhost:8080$page" || fail "$page does not answer"
done
echo "first-hour: the two commands and $count samples are as they are printed"
