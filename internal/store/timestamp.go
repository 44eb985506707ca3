package store

import (
	"database/sql/driver"
	"fmt"
	"time"
)

// timestamp is the only type in which times are written and read: UTC, to the
// microsecond. The zero time is stored as such and means "not yet" or "never".
type timestamp struct{ time.Time }

// Value rounds down to the microsecond, which both engines store.
func (t timestamp) Value() (driver.Value, error) {
	return t.UTC().Truncate(time.Microsecond), nil
}

// Scan reads a time of either engine. An integer, which expressions of SQLite return,
// is in microseconds.
func (t *timestamp) Scan(src any) error {
	switch v := src.(type) {
	case time.Time:
		t.Time = v.UTC()
	case int64:
		t.Time = time.UnixMicro(v).UTC()
	case nil: // an outer join has found no row
		t.Time = time.Time{}
	default:
		return fmt.Errorf("cannot read a time from %T", src)
	}
	if t.IsZero() {
		t.Time = time.Time{}
	}
	return nil
}
