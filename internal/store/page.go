package store

import (
	"context"
	"reflect"

	"github.com/jmoiron/sqlx"
)

// rowBytes is about what the names and numbers of a row take on the wire.
const rowBytes = 512

// pageOf reads up to limit rows one by one. It stops earlier, but not before the first
// row, where they exceed limits.pageBytes. more reports that the query had more: let it
// select one row more than limit to learn whether others follow.
func pageOf[Row any](ctx context.Context, r reader, limit int, query string, args ...any,
) (rows []Row, more bool, err error) {
	scan := func(found *sqlx.Rows) (row Row, texts int, err error) {
		err = found.StructScan(&row)
		return row, textBytes(reflect.ValueOf(row)), err
	}
	return pageBy(ctx, r, limit, scan, query, args...)
}

// pageBy is pageOf by a function that reads a row and says how many bytes of text it has.
func pageBy[Row any](ctx context.Context, r reader, limit int, scan func(*sqlx.Rows) (row Row, texts int, err error),
	query string, args ...any,
) (rows []Row, more bool, err error) {
	err = r.run(ctx, query, func(q queryer) error {
		found, err := q.QueryxContext(ctx, args...)
		if err != nil {
			return err
		}
		rows, more, err = readPage(found, limit, r.pool.limits.pageBytes, scan)
		return err
	})
	return rows, more, err
}

func readPage[Row any](found *sqlx.Rows, limit, maxBytes int, scan func(*sqlx.Rows) (Row, int, error),
) (rows []Row, more bool, err error) {
	defer found.Close() //nolint:errcheck // what matters is found.Err
	for size := 0; found.Next(); {
		row, texts, err := scan(found)
		if err != nil {
			return nil, false, err
		}
		size += rowBytes + texts
		if len(rows) == limit || len(rows) > 0 && size > maxBytes {
			return rows, true, nil
		}
		rows = append(rows, row)
	}
	return rows, false, found.Err()
}

// textBytes adds up the texts of a row.
func textBytes(row reflect.Value) int {
	switch row.Kind() { //nolint:exhaustive // the others have a size of their own
	case reflect.String:
		return row.Len()
	case reflect.Struct:
		size := 0
		for i := range row.NumField() {
			size += textBytes(row.Field(i))
		}
		return size
	}
	return 0
}
