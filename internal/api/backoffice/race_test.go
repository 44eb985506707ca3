//go:build race

package backoffice_test

func init() { raceDetector = true }
