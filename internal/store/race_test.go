//go:build race

package store

// raceDetector reports whether the race detector is on, which makes everything slow, most of
// all SQLite.
const raceDetector = true
