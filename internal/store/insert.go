package store

import (
	"context"
	"iter"
	"strconv"
	"strings"
)

// maxInserted is how many rows one statement inserts. Each statement that is kept prepared costs
// memory on each connection of the database.
const maxInserted = 128

// insertAll inserts rows of values into a table, which is named with its columns.
func (t *Tx) insertAll(ctx context.Context, into string, rows [][]any) error {
	for values, args := range valueLists(rows) {
		if _, err := t.exec(ctx, "INSERT INTO "+into+" VALUES "+values, args...); err != nil {
			return err
		}
	}
	return nil
}

// valueLists cuts rows into parts, each as the list of VALUES and its arguments. The size of a
// part is a power of two, so that there are few different statements to prepare.
func valueLists(rows [][]any) iter.Seq2[string, []any] {
	return func(yield func(string, []any) bool) {
		for size := maxInserted; len(rows) > 0; {
			for size > len(rows) {
				size /= 2
			}
			args := make([]any, 0, size*len(rows[0]))
			for _, row := range rows[:size] {
				args = append(args, row...)
			}
			if !yield(valueList(size, len(rows[0])), args) {
				return
			}
			rows = rows[size:]
		}
	}
}

// valueList returns "($1, $2), ($3, $4)" for two rows of two columns.
func valueList(rows, columns int) string {
	var b strings.Builder
	for n := range rows * columns {
		switch {
		case n == 0:
			b.WriteString("($")
		case n%columns == 0:
			b.WriteString("), ($")
		default:
			b.WriteString(", $")
		}
		b.WriteString(strconv.Itoa(n + 1))
	}
	b.WriteByte(')')
	return b.String()
}
