package identity

import "slices"

// VersionMatch is a condition on the version of what the caller changes. The zero value
// matches every version.
type VersionMatch struct {
	Conditional bool
	Versions    []int64 // one of these; none of them when Conditional and empty
}

// Check returns a Precondition error unless the condition holds.
func (m VersionMatch) Check(version int64) error {
	if !m.Conditional || slices.Contains(m.Versions, version) {
		return nil
	}
	return Errorf(Precondition, "stale_version", "This has been changed since: it is at version %d now.", version)
}
