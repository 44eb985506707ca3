package app

import "runtime/debug"

// Version returns the version that the Go toolchain recorded in this build (of the
// module or of the commit) and that of Go.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version + " " + info.GoVersion
}
