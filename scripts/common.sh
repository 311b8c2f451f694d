# Sourced by the other scripts: where things are, and the one check that every one of them needs. Nothing here runs a program of ours.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export GOTOOLCHAIN=local GOFLAGS="${GOFLAGS:-} -tags=nomsgpack"

say() { printf '\n== %s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 2; }

# require_go: Go 1.26 or newer, and nothing else, is needed to build.
require_go() {
	command -v go >/dev/null || die "Go is not installed. Strongroom needs Go 1.26 or newer: https://go.dev/dl"
	local have
	have=$(cd "$root" && go env GOVERSION 2>/dev/null | sed -E 's/^go//')
	case "$have" in
	1.2[6-9]* | 1.[3-9][0-9]* | [2-9].*) ;;
	*) die "Strongroom needs Go 1.26 or newer; this is Go ${have:-of an unknown version}. Get it from https://go.dev/dl" ;;
	esac
}

# build NAME…: commands of ours into bin/, the same bytes from the same source wherever it lies.
build() {
	local name
	mkdir -p "$root/bin"
	for name in "$@"; do
		(cd "$root" && CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags='-s -w -buildid=' -o "bin/$name" "./cmd/$name")
	done
}
