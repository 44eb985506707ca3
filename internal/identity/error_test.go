package identity

import (
	"errors"
	"testing"
)

func TestProblemsAreCounted(t *testing.T) {
	t.Parallel()
	for given, want := range map[int]struct {
		entries int
		last    string
	}{
		0: {0, ""}, 1: {1, "is wrong"}, MaxFieldErrors: {MaxFieldErrors, "is wrong"},
		MaxFieldErrors + 1: {MaxFieldErrors + 1, "1 more value is wrong"}, MaxFieldErrors + 37: {MaxFieldErrors + 1,
			"37 more values are wrong"},
	} {
		var fields []FieldError
		for range given {
			fields = append(fields, FieldError{Field: "x", Code: "wrong", Message: "is wrong"})
		}
		err := InvalidFields(fields)
		if given == 0 {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		var ours *Error
		if !errors.As(err, &ours) || len(ours.Fields) != want.entries || ours.Fields[want.entries-1].Message != want.last {
			t.Errorf("%d: %v", given, err)
		}
	}
}
