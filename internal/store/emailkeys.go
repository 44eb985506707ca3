package store

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/rosterhq/roster/internal/identity"
)

// rekeyEmails rewrites the keys of addresses that an earlier release has stored with the
// domain as it is spelled. It runs at every start, because that release may still be
// running while this one starts. Several instances may run it at once.
//
// Where another user already has the new key, two users have one mailbox. The user with
// the later id, or whose address is not spelled in ASCII, keeps the old key, which no
// look-up uses, and a warning in the log tells the operator to decide.
func (s *Store) rekeyEmails(ctx context.Context) error {
	var rows []struct {
		ID    int64  `db:"id"`
		Email string `db:"email"`
		Key   string `db:"email_folded"`
	}
	err := s.all(ctx, &rows, "SELECT id, email, email_folded FROM users WHERE "+s.pool.engine.beyondASCII+" ORDER BY id")
	if err != nil {
		return fmt.Errorf("reading the keys of addresses: %w", err)
	}
	for _, row := range rows {
		key := identity.EmailKey(row.Email)
		if key == row.Key { // only the local part is beyond ASCII
			continue
		}
		err := s.InTx(ctx, func(tx *Tx) error {
			_, err := tx.exec(ctx, "UPDATE users SET email_folded = $2 WHERE id = $1 AND email_folded = $3",
				row.ID, key, row.Key)
			return err
		})
		switch {
		case identity.KindOf(err) == identity.Conflict:
			slog.WarnContext(ctx,
				"another user has the same e-mail address, spelled in another way: change or delete one of them",
				"user_id", row.ID)
		case err != nil:
			return fmt.Errorf("changing the key of the address of user %d: %w", row.ID, err)
		}
	}
	return nil
}
