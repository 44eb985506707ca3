package console

import (
	"strings"

	"github.com/rosterhq/roster/internal/identity"
)

// permissionText tells an operator what a permission is good for. A dangerous one lets its
// holder get more rights, act as somebody else, or destroy what cannot be brought back.
type permissionText struct {
	sentence  string
	dangerous bool
}

var permissionTexts = map[identity.Permission]permissionText{
	identity.Everything: {"Do everything, also what later releases bring.", true},
	identity.UsersView:  {"See users and search for them.", false},
	identity.UsersCreate: {
		"Create users, in groups whose permissions one holds oneself. Includes users.view.", false,
	},
	identity.UsersUpdate: {
		"Change users: name, address, password, groups, allowed addresses. Includes users.view.", true,
	},
	identity.UsersDelete: {"Delete users with all their data. Includes users.view.", true},
	identity.UsersSelf:   {"For a token: read and delete the one user that it acts for.", false},
	identity.GroupsView:  {"See groups and what they give.", false},
	identity.GroupsManage: {
		"Create, change and delete groups, within the permissions that one holds oneself.", true,
	},
	identity.TokensManage: {
		"See, create and revoke tokens of programs, within the permissions that one holds oneself.", true,
	},
	identity.TokensIntrospect: {"For a service: ask whom a token stands for and what that one may do.", false},
	identity.WebhooksManage: {
		"Set up webhooks, which send what happens here to other servers, and read their deliveries.", true,
	},
	identity.RecordsManage: {"Read and change what services keep about users.", false},
	identity.AuditView:     {"Read who has done what, and from where.", false},
}

// permissionRow is a permission on a page.
type permissionRow struct {
	Name      string
	Sentence  string
	Dangerous bool
	On        bool   // of a box to tick
	Denied    string // why the caller cannot give it; "" if the caller can
}

// allPermissions returns every permission, Everything first.
func allPermissions() []identity.Permission {
	var list []identity.Permission
	for _, name := range identity.AllPermissions.Names() {
		var p identity.Permission
		if p.UnmarshalText([]byte(name)) == nil {
			list = append(list, p)
		}
	}
	return list
}

func permissionRowFrom(p identity.Permission) permissionRow {
	text := permissionTexts[p]
	return permissionRow{Name: p.String(), Sentence: text.sentence, Dangerous: text.dangerous}
}

// permissionRows returns the permissions of a set. Everything stands for all of them.
func permissionRows(set identity.Permissions) []permissionRow {
	rows := []permissionRow{}
	for _, p := range allPermissions() {
		if set.Has(p) && (p == identity.Everything || !set.Has(identity.Everything)) {
			rows = append(rows, permissionRowFrom(p))
		}
	}
	return rows
}

// permissionBoxes returns every permission as a box to tick. The boxes of names are ticked.
// The caller cannot give what it does not hold.
func permissionBoxes(actor identity.Actor, names []string) []permissionRow {
	ticked := map[string]bool{}
	for _, name := range names {
		ticked[name] = true
	}
	var rows []permissionRow
	for _, p := range allPermissions() {
		row := permissionRowFrom(p)
		row.On = ticked[row.Name]
		if actor.RequireCover(identity.PermissionSet(p), false) != nil {
			row.Denied = "You do not hold this yourself, so you cannot give it."
		}
		rows = append(rows, row)
	}
	return rows
}

// permissionNames returns a set as the boxes that are ticked for it.
func permissionNames(set identity.Permissions) []string {
	return strings.Fields(set.String())
}

// permissionsIn reads the boxes of a form. It adds what is wrong to the problems.
func permissionsIn(names []string, problems *identity.Problems) identity.Permissions {
	var list []identity.Permission
	for _, name := range names {
		var p identity.Permission
		if err := p.UnmarshalText([]byte(name)); err != nil {
			addProblem(problems, identity.FieldPermissions, err)
			continue
		}
		list = append(list, p)
	}
	return identity.PermissionSet(list...)
}

// notHeld returns the names of the permissions of a set that the caller does not hold.
func notHeld(actor identity.Actor, set identity.Permissions) string {
	return strings.Join((set &^ actor.Permissions).Names(), ", ")
}
