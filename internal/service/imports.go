package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

// ImportRow is a row of an import as the caller sends it.
type ImportRow struct {
	ID     int64               // of the user; 0 for the one with the address, or a new one
	Change identity.UserChange // without Groups and Password
	Groups *[]GroupName        // nil leaves them as they are
	// PasswordHash is for a user without a password; "" for none.
	PasswordHash string
	// Err is the Invalid error of fields that cannot be read, or nil. The others are still set.
	Err error
}

// GroupName names a group: by its ID, or by its Name where that is 0.
type GroupName struct {
	ID   int64
	Name identity.Label
}

// AddImportRows plans rows of an import that is not started, and changes no user. first is the
// number of the first row. Rows that the import has already are left out. A wrong row is no
// error: it is stored as RowError. The errors are those of Job, Forbidden and Conflict: the job
// is no import or is started, there is a gap before the rows, or there are too many.
func (s *Service) AddImportRows(ctx context.Context, actor identity.Actor, id, first int64, rows []ImportRow,
) (identity.Job, error) {
	return s.changeJob(ctx, actor, id, func(tx *store.Tx, actor identity.Actor, job *identity.Job) error {
		if err := mayTryJob(actor, identity.JobImport); err != nil {
			return err
		}
		if err := takesRows(*job, first); err != nil {
			return err
		}
		added := rows[min(job.Total+1-first, int64(len(rows))):]
		if len(added) == 0 {
			return nil
		}
		if job.Total+int64(len(added)) > identity.MaxImportRows {
			return identity.Errorf(identity.Conflict, "too_many_rows", "An import has at most %d rows.", identity.MaxImportRows)
		}
		plan, err := s.loadPlan(ctx, tx, actor, *job, added)
		if err != nil {
			return err
		}
		planned := make([]identity.ImportRow, len(added))
		for i, row := range added {
			job.Total++
			if planned[i], err = plan.row(ctx, tx, job.Total, row); err != nil {
				return err
			}
			countRow(job, planned[i].JobItem)
		}
		return tx.InsertImportRows(ctx, job.ID, planned)
	})
}

// takesRows checks that rows from a number on can be added to a job.
func takesRows(job identity.Job, first int64) error {
	switch err := job.Startable(); {
	case job.Action != identity.JobImport:
		return identity.Errorf(identity.Conflict, "no_import", "The job is no import: it takes no rows.")
	case err != nil:
		return err
	case job.State != identity.JobPlanned:
		return identity.Errorf(identity.Conflict, "job_started", "The job is started: it takes no more rows.")
	case first > job.Total+1:
		return identity.Errorf(identity.Conflict, "rows_missing", "The next row is %d: there are %[2]d rows.",
			job.Total+1, job.Total)
	}
	return nil
}

func countRow(job *identity.Job, item identity.JobItem) {
	job.Count(item.State)
	switch item.Outcome {
	case identity.RowCreate:
		job.Creates++
	case identity.RowUpdate:
		job.Updates++
	case identity.RowSame, identity.RowError:
	}
}

// importPlan is what rows are planned with. It is read at once for all rows of a call.
type importPlan struct {
	actor  identity.Actor
	jobID  int64
	sealer *secret.Sealer

	users           map[int64]identity.User
	byEmail         map[string]identity.User
	withoutPassword []int64
	hashes          *hashKinds
	groups          map[int64]identity.Group
	byName          map[string]identity.Group
	// The rows that have an address or a user.
	emailRows map[string]int64
	userRows  map[int64]int64
}

func (s *Service) loadPlan(ctx context.Context, tx *store.Tx, actor identity.Actor, job identity.Job,
	rows []ImportRow,
) (*importPlan, error) {
	p := &importPlan{
		actor: actor, jobID: job.ID, users: map[int64]identity.User{}, byEmail: map[string]identity.User{},
		byName: map[string]identity.Group{},
	}
	var keys store.UserKeys
	var groups []int64
	var names []identity.Label
	for _, row := range rows {
		if row.ID != 0 {
			keys.IDs = append(keys.IDs, row.ID)
		}
		if row.Change.Email != nil {
			keys.Emails = append(keys.Emails, row.Change.Email.Key())
		}
		if row.Groups == nil {
			continue
		}
		for _, group := range *row.Groups {
			if group.ID != 0 {
				groups = append(groups, group.ID)
			} else if actor.Permissions.Has(identity.GroupsView) {
				names = append(names, group.Name)
			}
		}
	}
	found, err := tx.UsersNamed(ctx, keys)
	if err != nil {
		return nil, err
	}
	if p.hashes, err = s.hashKinds(ctx, tx); err != nil {
		return nil, err
	}
	for _, user := range found {
		p.users[user.ID], p.byEmail[user.Email.Key()] = user, user
		groups = append(groups, user.Groups...)
	}
	if err := p.loadGroups(ctx, tx, groups, names); err != nil {
		return nil, err
	}
	return p, p.loadRows(ctx, tx, keys.Emails)
}

// loadGroups reads the groups of users and rows.
func (p *importPlan) loadGroups(ctx context.Context, tx *store.Tx, ids []int64, names []identity.Label) error {
	named, err := tx.GroupsNamed(ctx, names)
	if err != nil {
		return err
	}
	for _, group := range named {
		p.byName[identity.Fold(string(group.Name))] = group
		ids = append(ids, group.ID)
	}
	groups, err := tx.LockGroups(ctx, sortedSet(ids), false)
	p.groups = groupsByID(groups)
	return err
}

// loadRows reads what the import has already, and the key of its rows.
func (p *importPlan) loadRows(ctx context.Context, tx *store.Tx, emails []string) (err error) {
	ids := make([]int64, 0, len(p.users))
	for id := range p.users {
		ids = append(ids, id)
	}
	if p.emailRows, err = tx.ImportedEmails(ctx, p.jobID, emails); err != nil {
		return err
	}
	if p.userRows, err = tx.ImportedUsers(ctx, p.jobID, ids); err != nil {
		return err
	}
	if p.withoutPassword, err = tx.UsersWithoutPassword(ctx, ids); err != nil {
		return err
	}
	key, err := tx.ImportKey(ctx, p.jobID)
	if err != nil {
		return err
	}
	p.sealer, err = secret.NewSealer(key)
	return err
}

// row plans a row.
func (p *importPlan) row(ctx context.Context, tx *store.Tx, number int64, row ImportRow) (identity.ImportRow, error) {
	planned := identity.ImportRow{JobItem: identity.JobItem{Row: number, State: identity.ItemPending}}
	if email := row.Change.Email; email != nil && (row.ID == 0 || p.actor.CanViewMaskedData || !email.IsMask()) {
		planned.Email = email.Key() // of several users the mask may be the same
	}
	var refusal *identity.Error
	err := p.decide(ctx, tx, row, &planned)
	switch kind := identity.KindOf(err); {
	case err == nil:
	case errors.As(err, &refusal) && kind != identity.Internal && kind != identity.Unavailable:
		planned.JobItem = refused(planned.JobItem, refusal)
		planned.Outcome = identity.RowError
	default:
		return planned, err
	}
	if planned.Email != "" {
		p.emailRows[planned.Email] = number
	}
	if planned.UserID != 0 {
		p.userRows[planned.UserID] = number
	}
	return planned, nil
}

// decide gives a row its outcome. The error says what is wrong with the row.
func (p *importPlan) decide(ctx context.Context, tx *store.Tx, row ImportRow, planned *identity.ImportRow) error {
	if row.Err != nil {
		return row.Err
	}
	if earlier, found := p.emailRows[planned.Email]; found {
		return errDuplicateRow(identity.FieldEmail, earlier)
	}
	before, found := p.byEmail[planned.Email]
	field := identity.FieldEmail
	switch {
	case row.ID != 0:
		field = identity.FieldID
		if before, found = p.users[row.ID]; !found {
			return identity.InvalidField(field, "unknown_user", fmt.Sprintf("there is no user with the id %d", row.ID))
		}
	case planned.Email == "":
		return identity.InvalidField(field, "required", "is required, unless there is an id")
	}
	if found {
		planned.UserID, planned.Version = before.ID, before.Version
		if earlier, found := p.userRows[before.ID]; found {
			return errDuplicateRow(field, earlier)
		}
	}
	if err := p.resolveGroups(&row); err != nil {
		return err
	}
	if row.PasswordHash != "" {
		if err := p.hashes.admit(row.PasswordHash); err != nil {
			return err
		}
	}
	if found {
		return p.update(ctx, tx, row, before, planned)
	}
	return p.create(row, planned)
}

func errDuplicateRow(field string, earlier int64) error {
	return identity.InvalidField(field, "duplicate_row", fmt.Sprintf("names the same user as row %d", earlier))
}

// resolveGroups gives the change of a row the ids of its groups.
func (p *importPlan) resolveGroups(row *ImportRow) error {
	if row.Groups == nil {
		return nil
	}
	var problems identity.Problems
	ids := make([]int64, len(*row.Groups))
	for i, name := range *row.Groups {
		path := identity.FieldGroups + "[" + strconv.Itoa(i) + "]"
		group, found := p.groups[name.ID]
		message := fmt.Sprintf("there is no group with the id %d", name.ID)
		if name.ID == 0 {
			group, found = p.byName[identity.Fold(string(name.Name))]
			message = "there is no group with this name"
			if !p.actor.Permissions.Has(identity.GroupsView) {
				message = fmt.Sprintf("must be an id: to name groups by their names takes the permission %s", identity.GroupsView)
			}
		}
		if !found {
			problems.Add(path, "unknown_group", message)
		}
		ids[i] = group.ID
	}
	row.Change.Groups = new(sortedSet(ids))
	return problems.Err()
}

// create plans a new user.
func (p *importPlan) create(row ImportRow, planned *identity.ImportRow) error {
	var problems identity.Problems
	if row.Change.Name == nil {
		problems.Add(identity.FieldName, "required", "is required for a new user")
	}
	if err := problems.Err(); err != nil {
		return err
	}
	user := row.Change.Apply(newImported)
	if err := checkNewUser(p.actor, user, p.groups); err != nil {
		return err
	}
	planned.Outcome = identity.RowCreate
	return p.seal(planned, newImported.ChangeTo(user), row.PasswordHash)
}

// checkNewUser checks that the caller may create a user.
func checkNewUser(actor identity.Actor, user identity.User, groups map[int64]identity.Group) error {
	if err := user.RequireNoMask(actor); err != nil {
		return err
	}
	permissions, err := permissionsOf(groups, user.Groups, nil)
	if err != nil {
		return err
	}
	return mayCreate(actor, user, permissions)
}

// update plans a change of a user. Who is found by the address keeps it as it is spelled.
func (p *importPlan) update(ctx context.Context, tx *store.Tx, row ImportRow, before identity.User,
	planned *identity.ImportRow,
) error {
	if row.ID == 0 {
		row.Change.Email = nil
	}
	change, err := row.Change.Unmasked(before, p.actor)
	if err != nil {
		return err
	}
	after := change.Apply(before)
	// Another hash than the user's would set back a password that was changed since the export.
	if !slices.Contains(p.withoutPassword, before.ID) {
		row.PasswordHash = ""
	}
	in := importedUpdate(before, after, row.PasswordHash)
	if err := checkImportedUpdate(ctx, tx, p.actor, before, after, in, p.groups); err != nil {
		return err
	}
	if other, taken := p.byEmail[after.Email.Key()]; taken && other.ID != before.ID {
		return store.ErrEmailTaken()
	}
	planned.Outcome = identity.RowUpdate
	if in.Change == (identity.UserChange{}) && change.SeesEffect(before.ID, p.actor) {
		planned.Outcome, planned.State = identity.RowSame, identity.ItemUnchanged
		return nil
	}
	return p.seal(planned, in.Change, row.PasswordHash)
}

// importedUpdate returns the update that makes a user what a row says: it has only what differs.
func importedUpdate(before, after identity.User, passwordHash string) UserUpdate {
	in := UserUpdate{Change: before.ChangeTo(after)}
	if passwordHash != "" {
		in.Change.Password = new(identity.Password) // it is a new password, which nobody knows here
	}
	return in
}

// checkImportedUpdate checks an update as checkUpdate does, with groups that are read.
func checkImportedUpdate(ctx context.Context, tx *store.Tx, actor identity.Actor, before, after identity.User,
	in UserUpdate, groups map[int64]identity.Group,
) error {
	if err := mayTryUpdate(actor, before.ID, in); err != nil {
		return err
	}
	permissions, err := permissionsOf(groups, wantedGroups(after, in), before.Groups)
	if err != nil {
		return err
	}
	if err := mayChange(actor, before, after, in, permissions); err != nil {
		return err
	}
	if losesAdministrator(before, after) {
		return requireOtherAdministrator(ctx, tx, actor, before.ID)
	}
	return nil
}

// importData is what a pending row is applied with: the change of its user, or of newImported.
type importData struct {
	Change       identity.UserChange // without Password and without an empty Phone, which is no phone to read
	NoPhone      bool                // the user has no phone any more
	PasswordHash string
}

// newImported is a new user before a row gives it its fields. The user has no password: a random
// one would cost a hash. The user chooses one by a mailed link.
var newImported = identity.User{Active: true, Groups: []int64{}}

func rowPurpose(jobID, row int64) string {
	return "import " + strconv.FormatInt(jobID, 10) + " " + strconv.FormatInt(row, 10)
}

// seal gives a pending row its data.
func (p *importPlan) seal(planned *identity.ImportRow, change identity.UserChange, passwordHash string) error {
	data := importData{Change: change, PasswordHash: passwordHash}
	data.Change.Password = nil
	if change.Phone != nil && *change.Phone == "" {
		data.Change.Phone, data.NoPhone = nil, true
	}
	text, err := json.Marshal(data)
	planned.Data = p.sealer.Seal(string(text), rowPurpose(p.jobID, planned.Row))
	return err
}

// unseal returns the change and the password hash of a pending row.
func unseal(sealer *secret.Sealer, jobID int64, row identity.ImportRow,
) (change identity.UserChange, hash string, err error) {
	text, err := sealer.Open(row.Data, rowPurpose(jobID, row.Row))
	if err != nil {
		return identity.UserChange{}, "", err
	}
	var data importData
	if err := json.Unmarshal([]byte(text), &data); err != nil {
		return identity.UserChange{}, "", err
	}
	if data.NoPhone {
		data.Change.Phone = new(identity.Phone)
	}
	return data.Change, data.PasswordHash, nil
}
