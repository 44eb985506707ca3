package app

import "runtime/debug"

// Version is what the Go toolchain knows of this build: the module's version, or
// the commit.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version + " " + info.GoVersion
}
