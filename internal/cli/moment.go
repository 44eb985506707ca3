package cli

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// moment is a time that is given as RFC 3339, as a date (its first moment, UTC), or as an age in days or hours.
type moment struct{ time.Time }

// UnmarshalText reads 2026-01-31T12:00:00Z, 2026-01-31, 90d or 12h.
func (m *moment) UnmarshalText(text []byte) error {
	return m.parse(string(text), time.Now())
}

func (m *moment) parse(text string, now time.Time) error {
	const day, longest = 24 * time.Hour, 100 * 365
	if digits, inDays := strings.CutSuffix(text, "d"); inDays {
		days, err := strconv.Atoi(digits)
		if err != nil || days < 0 || days > longest {
			return errors.New("must be a number of days such as 90d")
		}
		m.Time = now.Add(-time.Duration(days) * day)
		return nil
	}
	if age, err := time.ParseDuration(text); err == nil && age >= 0 {
		m.Time = now.Add(-age)
		return nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			m.Time = at
			return nil
		}
	}
	return errors.New("must be a time such as 2026-01-31, 2026-01-31T12:00:00Z, or 90d for days ago")
}
