package store

import (
	"context"
	"iter"
	"strconv"
	"strings"
)

// maxInserted is how many rows one statement inserts, a power of two. More save round trips, but
// each prepared statement costs memory on each connection of the database.
const maxInserted = 128

// insertAll inserts rows of values into a table, which is named with its columns.
func (t *Tx) insertAll(ctx context.Context, into string, rows [][]any) error {
	for values, args := range t.valueLists(rows) {
		if _, err := t.exec(ctx, "INSERT INTO "+into+" VALUES "+values, args...); err != nil {
			return err
		}
	}
	return nil
}

// valueLists cuts rows into parts, each as the list of VALUES and its arguments. Their sizes are
// powers of two, so that there are few different statements to prepare.
func (t *Tx) valueLists(rows [][]any) iter.Seq2[string, []any] {
	return func(yield func(string, []any) bool) {
		for size := maxInserted; len(rows) > 0; {
			for size > len(rows) {
				size /= 2
			}
			columns := len(rows[0])
			args := make([]any, 0, size*columns)
			for _, row := range rows[:size] {
				args = append(args, row...)
			}
			list := valueList(size, columns)
			if t.pool.engine.unnumbered {
				list = strings.Repeat(", (?"+strings.Repeat(", ?", columns-1)+")", size)[len(", "):]
			}
			if !yield(list, args) {
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
