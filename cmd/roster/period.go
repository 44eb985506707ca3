package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// period is a duration that can be given in days.
type period time.Duration

// UnmarshalText reads days, such as 400d, or a duration of time.ParseDuration. It
// fails for any other text and for a negative period.
func (p *period) UnmarshalText(text []byte) error {
	const maxDays = 100 * 365
	if digits, inDays := strings.CutSuffix(string(text), "d"); inDays {
		days, err := strconv.Atoi(digits)
		if err != nil || days < 0 || days > maxDays {
			return fmt.Errorf("must be a number of days such as 400d, at most %dd", maxDays)
		}
		*p = period(time.Duration(days) * day)
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil || d < 0 {
		return errors.New("must be a time such as 400d or 720h")
	}
	*p = period(d)
	return nil
}
