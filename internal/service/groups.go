package service

import (
	"context"
	"fmt"
	"slices"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
)

// Group returns a group, or NotFound.
func (s *Service) Group(ctx context.Context, actor identity.Actor, id int64) (identity.Group, error) {
	if err := actor.Require(identity.GroupsView); err != nil {
		return identity.Group{}, err
	}
	return s.store.Group(ctx, id)
}

// Groups returns a page of the groups by id, and how many there are.
func (s *Service) Groups(ctx context.Context, actor identity.Actor, page identity.Page,
) ([]identity.Group, int64, error) {
	if err := actor.Require(identity.GroupsView); err != nil {
		return nil, 0, err
	}
	return s.store.Groups(ctx, page)
}

// GroupNames returns the names of the groups by id, of so many groups at most.
func (s *Service) GroupNames(ctx context.Context, actor identity.Actor, most int) (map[int64]string, error) {
	if err := actor.Require(identity.GroupsView); err != nil {
		return nil, err
	}
	return s.store.GroupNames(ctx, most)
}

func mayCreateGroup(actor identity.Actor, group identity.Group) error {
	if err := actor.Require(identity.GroupsManage); err != nil {
		return err
	}
	if err := actor.RequireCover(group.Permissions, false); err != nil {
		return err
	}
	return actor.RequireFresh()
}

// CreateGroup creates a group with permissions that the caller holds; a session
// has to be fresh. The errors are Forbidden and Conflict.
func (s *Service) CreateGroup(ctx context.Context, actor identity.Actor, group identity.Group) (identity.Group, error) {
	if err := mayCreateGroup(actor, group); err != nil {
		return identity.Group{}, err
	}
	now := s.now()
	group.CreatedAt, group.Version = now, 1
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		actor, err := s.current(ctx, tx, actor)
		if err != nil {
			return err
		}
		if err := mayCreateGroup(actor, group); err != nil {
			return err
		}
		if group.ID, err = tx.InsertGroup(ctx, group); err != nil {
			return err
		}
		return emit(ctx, tx, identity.Event{
			Type: identity.GroupCreated, Time: now, Actor: actor, SubjectID: group.ID,
			Changes: identity.Group{}.Diff(group),
		})
	})
	return group, err
}

// UpdateGroup changes a group whose permissions, before and after, the caller holds. A
// session has to be fresh to change what members may do or need. The errors are
// Forbidden, NotFound, Conflict and Precondition.
func (s *Service) UpdateGroup(ctx context.Context, actor identity.Actor, id int64, change identity.GroupChange,
	match identity.VersionMatch,
) (identity.Group, error) {
	if err := actor.Require(identity.GroupsManage); err != nil {
		return identity.Group{}, err
	}
	now := s.now()
	var after identity.Group
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		before, actor, err := s.mayChangeGroup(ctx, tx, actor, id, match)
		if err != nil {
			return err
		}
		if change.TouchesRights() {
			if err := actor.RequireFresh(); err != nil {
				return err
			}
		}
		after = change.Apply(before)
		if err := actor.RequireCover(after.Permissions, false); err != nil {
			return err
		}
		changes := before.Diff(after)
		if len(changes) == 0 {
			return nil
		}
		after.UpdatedAt, after.Version = now, before.Version+1
		if err := tx.UpdateGroup(ctx, before, after); err != nil {
			return err
		}
		return emit(ctx, tx, identity.Event{
			Type: identity.GroupUpdated, Time: now, Actor: actor, SubjectID: id, Changes: changes,
		})
	})
	return after, err
}

// DeleteGroup deletes a group without members whose permissions the caller
// holds. The errors are Forbidden, NotFound, Conflict and Precondition.
func (s *Service) DeleteGroup(ctx context.Context, actor identity.Actor, id int64, match identity.VersionMatch) error {
	if err := actor.Require(identity.GroupsManage); err != nil {
		return err
	}
	now := s.now()
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		group, actor, err := s.mayChangeGroup(ctx, tx, actor, id, match)
		if err != nil {
			return err
		}
		hasMembers, err := tx.HasMembers(ctx, id)
		if err != nil {
			return err
		}
		if hasMembers {
			return identity.Errorf(identity.Conflict, "group_has_members", "The group has members. Take them out first.")
		}
		if err := tx.DeleteGroup(ctx, id); err != nil {
			return err
		}
		return emit(ctx, tx, identity.Event{
			Type: identity.GroupDeleted, Time: now, Actor: actor, SubjectID: id, Changes: group.Diff(identity.Group{}),
		})
	})
}

// mayChangeGroup locks a group and checks that the caller, as current returns it, may
// change the group.
func (s *Service) mayChangeGroup(ctx context.Context, tx *store.Tx, actor identity.Actor, id int64,
	match identity.VersionMatch,
) (identity.Group, identity.Actor, error) {
	group, err := tx.GroupForDeletion(ctx, id)
	if err != nil {
		return group, actor, err
	}
	if actor, err = s.current(ctx, tx, actor); err != nil {
		return group, actor, err
	}
	if err := actor.Require(identity.GroupsManage); err != nil {
		return group, actor, err
	}
	if id == identity.AdministratorsID {
		return group, actor, identity.Errorf(identity.Conflict, "group_protected",
			"Administrators can be neither changed nor deleted.")
	}
	if err := match.Check(group.Version); err != nil {
		return group, actor, err
	}
	return group, actor, actor.RequireCover(group.Permissions, false)
}

// lockGroups locks the groups that a user has and gets, and returns all their
// permissions. A change that removes an administrator locks exclusively, so that two of
// them run one after the other. Unknown groups among the wanted ones are Invalid.
func lockGroups(ctx context.Context, tx *store.Tx, wanted, had []int64, exclusively bool,
) (identity.Permissions, error) {
	groups, err := tx.LockGroups(ctx, sortedSet(slices.Concat(wanted, had)), exclusively)
	if err != nil {
		return 0, err
	}
	return permissionsOf(groupsByID(groups), wanted, had)
}

func groupsByID(groups []identity.Group) map[int64]identity.Group {
	byID := make(map[int64]identity.Group, len(groups))
	for _, group := range groups {
		byID[group.ID] = group
	}
	return byID
}

// permissionsOf returns all permissions of the groups that a user has and gets. Unknown groups
// among the wanted ones are Invalid.
func permissionsOf(groups map[int64]identity.Group, wanted, had []int64) (identity.Permissions, error) {
	var permissions identity.Permissions
	for _, id := range had {
		permissions |= groups[id].Permissions
	}
	var unknown []identity.FieldError
	for i, id := range wanted {
		group, known := groups[id]
		permissions |= group.Permissions
		if !known {
			unknown = append(unknown, identity.FieldError{
				Field: fmt.Sprintf("%s[%d]", identity.FieldGroups, i), Code: "unknown_group",
				Message: fmt.Sprintf("there is no group with the id %d", id),
			})
		}
	}
	return permissions, identity.InvalidFields(unknown)
}

// sortedSet returns the ids in ascending order without duplicates; never nil.
func sortedSet(ids []int64) []int64 {
	set := append([]int64{}, ids...)
	slices.Sort(set)
	return slices.Compact(set)
}
