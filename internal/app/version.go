package app

import (
	"cmp"
	"runtime/debug"
)

// version is set by the linker, for builds without the repository: -X ….version=v1.2.3.
var version string

// Version returns the version of this build and that of Go. Without one from the linker,
// it is the one that the Go toolchain recorded (of the module or of the commit).
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return cmp.Or(version, "unknown")
	}
	return cmp.Or(version, info.Main.Version) + " " + info.GoVersion
}
