package store

import (
	"database/sql/driver"
	"fmt"
	"time"
)

// timestamp is the one way in which times reach and leave the database: UTC, to
// the microsecond. The zero time is kept as such and means "not yet" or "never".
type timestamp struct{ time.Time }

// Value rounds down to what both engines keep.
func (t timestamp) Value() (driver.Value, error) {
	return t.UTC().Truncate(time.Microsecond), nil
}

// Scan takes a time from either engine; SQLite's integers, which expressions
// return, are microseconds.
func (t *timestamp) Scan(src any) error {
	switch v := src.(type) {
	case time.Time:
		t.Time = v.UTC()
	case int64:
		t.Time = time.UnixMicro(v).UTC()
	case nil: // of a row that an outer join has not found
		t.Time = time.Time{}
	default:
		return fmt.Errorf("cannot read a time from %T", src)
	}
	if t.IsZero() {
		t.Time = time.Time{}
	}
	return nil
}
