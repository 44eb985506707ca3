package service

import (
	"context"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
)

// Records are for the services that hold them and for administrators. Reading them
// takes records.manage as well: users.view does not include the user's accounts.

// Record returns a record of a user. The errors are Forbidden and NotFound.
func (s *Service) Record(ctx context.Context, actor identity.Actor, userID int64, recordType identity.RecordType,
	id identity.RecordID,
) (identity.Record, error) {
	if err := actor.Require(identity.RecordsManage); err != nil {
		return identity.Record{}, err
	}
	return s.store.Record(ctx, userID, recordType, id)
}

// RecordPage returns a page of a user's records by type and id, and how many there are;
// those of one type, or of all types for "". The errors are Forbidden and NotFound, if
// there is no such user.
func (s *Service) RecordPage(ctx context.Context, actor identity.Actor, userID int64, recordType identity.RecordType,
	page identity.Page,
) ([]identity.Record, int64, error) {
	if err := actor.Require(identity.RecordsManage); err != nil {
		return nil, 0, err
	}
	if _, err := s.store.User(ctx, userID); err != nil {
		return nil, 0, err
	}
	return s.store.RecordPage(ctx, userID, recordType, page)
}

// Records returns all records of a user that are of these types, by type and
// id; none for a user that does not exist.
func (s *Service) Records(ctx context.Context, actor identity.Actor, userID int64, types []identity.RecordType,
) ([]identity.Record, error) {
	if err := actor.Require(identity.RecordsManage); err != nil {
		return nil, err
	}
	return s.store.Records(ctx, userID, types)
}

// PutRecord creates or replaces a record of a user, and reports whether it has created it.
// Equal attributes are no change. The errors are Forbidden and NotFound, if there is no
// such user.
func (s *Service) PutRecord(ctx context.Context, actor identity.Actor, userID int64, record identity.Record,
) (after identity.Record, created bool, err error) {
	if err := actor.Require(identity.RecordsManage); err != nil {
		return identity.Record{}, false, err
	}
	now := s.now()
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		// The lock on the user makes two calls for one record run one after the other.
		if _, err := tx.UserForUpdate(ctx, userID); err != nil {
			return err
		}
		actor, err := s.current(ctx, tx, actor)
		if err != nil {
			return err
		}
		if err := actor.Require(identity.RecordsManage); err != nil {
			return err
		}
		before, err := tx.Record(ctx, userID, record.Type, record.ID)
		created = identity.KindOf(err) == identity.NotFound
		switch {
		case created:
			after = record
			after.CreatedAt = now
			if err := tx.InsertRecord(ctx, userID, after); err != nil {
				return err
			}
			return emit(ctx, tx, identity.Event{
				Type: identity.RecordCreated, Time: now, Actor: actor, SubjectID: userID,
				Changes: identity.Changes{identity.FieldRecord: {New: after.Name()}},
			})
		case err != nil:
			return err
		}
		after = before
		if before.Attributes == record.Attributes {
			return nil
		}
		after.Attributes, after.UpdatedAt = record.Attributes, now
		if err := tx.UpdateRecord(ctx, userID, after); err != nil {
			return err
		}
		return emit(ctx, tx, identity.Event{
			Type: identity.RecordUpdated, Time: now, Actor: actor, SubjectID: userID,
			Changes: identity.Changes{identity.FieldRecord: {Old: after.Name(), New: after.Name()}},
		})
	})
	return after, created, err
}

// DeleteRecord deletes a record of a user. The errors are Forbidden and NotFound.
func (s *Service) DeleteRecord(ctx context.Context, actor identity.Actor, userID int64,
	recordType identity.RecordType, id identity.RecordID,
) error {
	if err := actor.Require(identity.RecordsManage); err != nil {
		return err
	}
	now := s.now()
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		if _, err := tx.UserForUpdate(ctx, userID); err != nil {
			return err
		}
		actor, err := s.current(ctx, tx, actor)
		if err != nil {
			return err
		}
		if err := actor.Require(identity.RecordsManage); err != nil {
			return err
		}
		record, err := tx.Record(ctx, userID, recordType, id)
		if err != nil {
			return err
		}
		if err := tx.DeleteRecord(ctx, userID, recordType, id); err != nil {
			return err
		}
		return emit(ctx, tx, identity.Event{
			Type: identity.RecordDeleted, Time: now, Actor: actor, SubjectID: userID,
			Changes: identity.Changes{identity.FieldRecord: {Old: record.Name()}},
		})
	})
}
