//go:build race

package apitest

// RaceDetector reports whether the race detector is on, which makes everything slow.
const RaceDetector = true
