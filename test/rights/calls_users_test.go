package rights

import (
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

const usersPath = "/api/v2/users"

func (k *walk) usersList(c *call) *call {
	u := one(k, sorted(k.w.users, func(u *user) bool { return !u.gone }))
	query := url.Values{}
	var oracle string
	switch k.r.IntN(5) {
	case 0:
		c.sortByEmail = true
		query.Set("sort_by", "email")
	case 1:
		if u != nil {
			query.Set("filter[email]", u.email)
		}
	case 2: // a part of what may be masked
		if u != nil {
			if oracle, _, _ = strings.Cut(u.email, "@"); u.phone != "" && k.chance(50) {
				oracle = u.phone[len(u.phone)-6:]
			}
			query.Set("filter[q]", oracle)
		}
	case 3:
		query.Set("limit", "3")
	}
	c.sends(http.MethodGet, usersPath+"?"+query.Encode(), nil)
	a, _ := model{}.actor(k.w, c.as)
	c.done = func() string {
		var page struct{ Data []object }
		c.answer.decode(&page)
		for _, shown := range page.Data {
			if oracle != "" && !a.unmasked && !strings.Contains(fmt.Sprint(shown["name"]), oracle) {
				return "filter[q] finds a user by what is masked"
			}
			if complaint := k.compare(a, shown); complaint != "" {
				return complaint
			}
		}
		return ""
	}
	return c
}

// compare compares a user of an answer with the world. It returns what differs.
func (k *walk) compare(a actor, shown object) string {
	id, _ := shown["id"].(float64)
	u := k.w.user(int64(id))
	groups := []int64{}
	ids, _ := shown["groups"].([]any)
	for _, id := range ids {
		groups = append(groups, int64(id.(float64)))
	}
	slices.Sort(groups)
	if u.gone {
		return fmt.Sprintf("the answer has user %v, who does not exist", id)
	}
	email := u.email
	if !a.sees(u) {
		email = mask(email)
	}
	switch {
	case shown["email"] != email:
		return fmt.Sprintf("the answer has the e-mail %v, want %s", shown["email"], email)
	case shown["active"] != u.active || shown["tfa"] != u.tfa || shown["canViewMaskedData"] != u.unmasked ||
		!slices.Equal(groups, u.groups):
		return fmt.Sprintf("the answer has %v, want active %t, tfa %t, canViewMaskedData %t, groups %v",
			shown, u.active, u.tfa, u.unmasked, u.groups)
	}
	return ""
}

// mask returns the mask of an address, such as m***@website.com.
func mask(email string) string {
	_, domain, _ := strings.Cut(email, "@")
	return email[:1] + "***@" + domain
}

func (k *walk) usersGet(c *call) *call {
	if k.about(c, usersPath) == nil {
		return nil
	}
	c.sends(http.MethodGet, c.path, nil)
	c.done = k.comparison(c)
	return c
}

// comparison returns a function that compares the user of the answer.
func (k *walk) comparison(c *call) func() string {
	a, _ := model{}.actor(k.w, c.as)
	return func() string { return k.compare(a, c.answer.object()) }
}

// usersFind asks for users by all that names them. Who sees masks finds nobody by phone.
func (k *walk) usersFind(c *call) *call {
	u := one(k, sorted(k.w.users, func(u *user) bool { return !u.gone }))
	if u == nil {
		return nil
	}
	byPhone := u.phone != "" && k.chance(50)
	text := u.email
	if byPhone {
		text = u.phone
	}
	c.sends(http.MethodPost, usersPath+"/find", object{"texts": []string{text}})
	a, _ := model{}.actor(k.w, c.as)
	c.done = func() string {
		var found struct{ Data []object }
		c.answer.decode(&found)
		if byPhone && !a.unmasked && len(found.Data) > 0 {
			return "a phone number finds a user who is masked"
		}
		for _, shown := range found.Data {
			if complaint := k.compare(a, shown); complaint != "" {
				return complaint
			}
		}
		return ""
	}
	return c
}

// usersAbout reads what there is of one user beside its fields.
func (k *walk) usersAbout(c *call) *call {
	if k.about(c, usersPath) == nil {
		return nil
	}
	c.sends(http.MethodGet, c.path+one(k, []string{"/sources", "/signin-state", "/holdings", "/totp"}), nil)
	return c
}

// usersAccess reads what a user may do.
func (k *walk) usersAccess(c *call) *call {
	if k.about(c, usersPath) == nil {
		return nil
	}
	c.sends(http.MethodGet, c.path+"/access", nil)
	return c
}

// usersInvite mails a user a link to choose the password.
func (k *walk) usersInvite(c *call) *call {
	if k.about(c, usersPath) == nil {
		return nil
	}
	c.sends(http.MethodPost, c.path+"/invite", nil)
	return c
}

func (k *walk) usersCreate(c *call) *call {
	if alive := len(sorted(k.w.users, func(u *user) bool { return !u.gone })); alive > 14 {
		return nil
	}
	a, _ := model{}.actor(k.w, c.as)
	block := k.next()
	u := &user{
		block: block, name: fmt.Sprintf("Person %d", block), email: k.email(block), phone: k.phone(),
		password: k.password(), active: k.chance(95), unmasked: k.chance(35) && (a.unmasked || k.chance(20)),
		groups: k.groupsFor(a.perms),
	}
	u.list = k.list(userBlock(u))
	c.change = &change{groups: u.groups, flag: u.unmasked}
	if other := one(k, sorted(k.w.users, func(u *user) bool { return !u.gone })); other != nil && k.chance(5) {
		u.email, c.change.taken = other.email, true
	}
	c.sends(http.MethodPost, usersPath, object{
		"name": u.name, "email": u.email, "password": u.password, "active": u.active, "tfa": false, "groups": u.groups,
		"phone": u.phone, "ipWhitelist": u.list.strings(), "canViewMaskedData": u.unmasked,
	})
	if !c.change.taken && c.as.token != nil && k.chance(70) { // keys are kept per token
		c.key = fmt.Sprint("key-", k.next())
	}
	check := k.comparison(c)
	c.done = func() string {
		k.add(u, c.answer.id())
		if c.key != "" {
			k.created = append(k.created, c)
			c.user = u.id
		}
		return check()
	}
	return c
}

// usersRepeat sends a creation again. The answer is the first one, masked for the present rights of the caller.
func (k *walk) usersRepeat(c *call) *call {
	first := one(k, k.created)
	if first == nil || k.w.now.Sub(first.at) > 23*time.Hour || first.as.token.isNear(k.w.now) {
		return nil // keys expire after 24 hours
	}
	if k.w.user(first.user).gone {
		return nil // the key is deleted with the user: this would be another creation
	}
	c.as, c.from = first.as, k.source(first.as)
	c.key, c.user, c.change = first.key, first.user, first.change
	return c.sends(first.method, first.path, first.body)
}

// add adds a user to the world.
func (k *walk) add(u *user, id int64) {
	u.id = id
	k.w.users[id] = u
	k.own(u)
}

// own notes that the values of a user are theirs.
func (k *walk) own(u *user) {
	for _, value := range append(u.list.strings(), u.email, u.phone) {
		if value != "" {
			k.w.owners[value] = u.id
		}
	}
}

var patchFields = []string{
	"name", "phone", "email", "email", "password", "password", "active", "tfa", "groups", "groups", "ipWhitelist",
	"canViewMaskedData",
}

func (k *walk) usersPatch(c *call) *call {
	u := k.about(c, usersPath)
	if u == nil {
		return nil
	}
	a, _ := model{}.actor(k.w, c.as)
	x := &change{field: one(k, patchFields)}
	if u.active && x.field == "active" && !k.chance(40) {
		x.field = "name" // else few users would stay active
	}
	c.change = x
	next := *u
	k.changeField(c, a, &next)
	body := object{x.field: x.value}
	if k.currentPassword(c, u) {
		body["currentPassword"] = *x.current
	}
	query := ""
	if x.field == "ipWhitelist" && k.chance(30) {
		query, x.force = "?force=true", true
	}
	c.sends(http.MethodPatch, c.path+query, body)
	check := k.comparison(c)
	c.done = func() string {
		k.changed(c, u, &next)
		return check()
	}
	return c
}

// changeField picks the new value of the changed field and sets it in next and in the change.
func (k *walk) changeField(c *call, a actor, next *user) {
	x := c.change
	switch x.field {
	case "name":
		next.name = fmt.Sprintf("Person %d %d", next.block, k.next())
		x.value = next.name
	case "phone":
		next.phone = k.phone()
		x.value = next.phone
	case "email":
		k.newEmail(c, a, next)
	case "password":
		next.password = k.password()
		x.value = next.password
	case "active":
		next.active = !next.active
		x.value, x.flag = next.active, next.active
	case "tfa":
		next.tfa = !next.tfa
		x.value, x.flag = next.tfa, next.tfa
	case "groups":
		k.newGroups(c, a, next)
	case "ipWhitelist":
		next.list = k.list(userBlock(next))
		x.value, x.list = next.list.strings(), next.list
	case "canViewMaskedData":
		next.unmasked = !next.unmasked
		x.value, x.flag = next.unmasked, next.unmasked
	}
}

// newGroups picks the groups that are sent, sometimes with an unknown one.
func (k *walk) newGroups(c *call, a actor, next *user) {
	x, before := c.change, next.groups
	next.groups = k.groupsFor(a.perms)
	if k.chance(40) { // add groups
		next.groups = slices.Concat(before, next.groups)
		slices.Sort(next.groups)
		next.groups = append([]int64{}, slices.Compact(next.groups)...)
	}
	x.value, x.groups = next.groups, next.groups
	if k.chance(3) {
		x.groups = append(slices.Clone(next.groups), 100000)
		x.value = x.groups
	}
}

// newEmail picks the e-mail that is sent: mostly a new one, sometimes a taken one or the mask.
func (k *walk) newEmail(c *call, a actor, next *user) {
	other := one(k, sorted(k.w.users, func(u *user) bool { return !u.gone && u.id != next.id }))
	switch {
	case next.gone:
		c.change.value = k.email(0)
	case !a.sees(next) && k.chance(20):
		c.change.value, c.change.same = mask(next.email), true
	case other != nil && k.chance(8):
		c.change.value, c.change.taken = other.email, true
	default:
		next.email = k.email(next.block)
		c.change.value = next.email
	}
}

// currentPassword reports whether the current password is sent, and picks it: mostly to change one's own.
func (k *walk) currentPassword(c *call, u *user) bool {
	x := c.change
	isOwn := x.field == "password" && c.as.session != nil && c.user == c.as.user()
	if isOwn && k.chance(10) || !isOwn && (x.field != "password" || k.chance(85)) {
		return false
	}
	current := u.password
	if k.chance(15) {
		current = "WrongSecret1"
	}
	x.current, c.right = &current, current == u.password && u.password != ""
	return true
}

// changed adds a change of a user to the world: "a new password, e-mail, tfa switched on … ends that user's other
// sessions".
func (k *walk) changed(c *call, u, next *user) {
	ends := u.email != next.email || u.password != next.password || next.tfa && !u.tfa
	deactivated := u.active && !next.active
	*u = *next
	slices.Sort(u.groups)
	k.own(u)
	if ends {
		k.w.endSessions(u.id, c.as.session)
	}
	if deactivated { // no session works now; the contract leaves open whether they work after an activation
		k.w.forgetSessions(u.id, nil)
	}
}

func (k *walk) usersDelete(c *call) *call {
	u := k.about(c, usersPath)
	if u == nil {
		return nil
	}
	c.sends(http.MethodDelete, c.path, nil)
	c.done = k.deletion(u)
	return c
}

func (k *walk) deletion(u *user) func() string {
	return func() string {
		k.w.remove(u)
		return ""
	}
}

func (k *walk) explain(c *call) *call {
	u := k.about(c, usersPath)
	if u == nil || c.me && c.user == 0 {
		return nil
	}
	c.me = false // the body cannot have "me"
	ip := inside(k.r, netip.MustParsePrefix("2001:dba::/48"))
	if len(u.list) > 0 && k.chance(50) {
		ip = inside(k.r, one(k, u.list))
	}
	c.sends(http.MethodPost, "/api/v2/network/explain", object{"ip": ip.String(), "userId": c.user})
	c.done = func() string {
		if allowed := c.answer.object()["allowed"]; allowed != u.list.has(ip) {
			return fmt.Sprintf("allowed is %v for %s in %s", allowed, ip, u.list)
		}
		return ""
	}
	return c
}

func (k *walk) recordsCall(c *call) *call {
	u := k.about(c, usersPath)
	if u == nil {
		return nil
	}
	there := slices.Sorted(maps.Keys(k.w.records[u.id]))
	id := one(k, there)
	if c.known = id != ""; !c.known || k.chance(10) || c.kind == "records.put" && k.chance(80) {
		id, c.known = fmt.Sprint("r", k.next()), false
	}
	path := c.path + "/records/accounts/" + id
	switch c.kind {
	case "records.list":
		c.sends(http.MethodGet, c.path+"/records", nil)
	case "records.get":
		c.sends(http.MethodGet, path, nil)
	case "records.delete":
		c.sends(http.MethodDelete, path, nil)
		c.done = func() string {
			delete(k.w.records[u.id], id)
			return ""
		}
	case "records.put":
		c.sends(http.MethodPut, path, object{"attributes": object{"content": fmt.Sprint("record-content-", k.next())}})
		c.done = func() string {
			if k.w.records[u.id] == nil {
				k.w.records[u.id] = map[string]bool{}
			}
			k.w.records[u.id][id] = true
			return ""
		}
	}
	return c
}
