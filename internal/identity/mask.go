package identity

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// The masks of data of other users, for a caller without CanViewMaskedData. They have a
// fixed width, so that they do not reveal the length of a value.
const (
	mask      = "***"
	phoneMask = "*******"
)

// Masked returns the address as m***@example.com.
func (e Email) Masked() Email {
	at := strings.IndexByte(string(e), '@')
	if at < 0 {
		return ""
	}
	_, size := utf8.DecodeRuneInString(string(e))
	return e[:size] + mask + e[at:]
}

// IsMask reports whether the address equals its own mask.
func (e Email) IsMask() bool { return e != "" && e.Masked() == e }

// Masked returns the name, or the mask of an address if the name is an address.
func (n Name) Masked() Name {
	if isAddress(string(n)) {
		return Name(Email(n).Masked())
	}
	return n
}

// Key returns the form in which names are searched and ordered, without regard to case. For
// an address it is that of the mask, so that neither reveals the address.
func (n Name) Key() string { return Fold(string(n.Masked())) }

// Masked returns the number as +1*******62: its first digit and its last two,
// unless it is so short that this would show most of it.
func (p Phone) Masked() Phone {
	const shown, minDigits = 3, 8
	switch {
	case p == "":
		return ""
	case len(p) < 1+minDigits:
		return "+" + phoneMask
	}
	return p[:2] + phoneMask + p[len(p)-shown+1:]
}

// IsMask reports whether the number is the mask of a number.
func (p Phone) IsMask() bool { return strings.Contains(string(p), phoneMask) }

// ParsePhoneOrMask reads a phone number, or the mask of one.
func ParsePhoneOrMask(s string) (Phone, error) {
	first, last, isMask := strings.Cut(s, phoneMask)
	digits := func(s string, n int) bool {
		return len(s) == n && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	}
	if isMask && (s == "+"+phoneMask || strings.HasPrefix(first, "+") && digits(first[1:], 1) && digits(last, 2)) {
		return Phone(s), nil
	}
	return ParsePhone(s)
}

// Masked returns a list that shows only whether the list is empty. The mask of a range is
// the zero AddressRange, which contains no address and is written ***.
func (l AllowList) Masked() AllowList {
	if len(l) == 0 {
		return l
	}
	return AllowList{AddressRange{}}
}

// Masked returns the user as others see it without CanViewMaskedData.
func (u User) Masked() User {
	for _, field := range userFields {
		field.masked(&u)
	}
	return u
}

// Sees returns the user as the actor may see it. Users see themselves unmasked.
func (a Actor) Sees(u User) User {
	if a.SeesUnmasked(u.ID) {
		return u
	}
	return u.Masked()
}

// SeesUnmasked reports whether nothing of a user is hidden from the actor.
func (a Actor) SeesUnmasked(userID int64) bool {
	return a.CanViewMaskedData || a.Is(userID)
}

// SeesToken returns a token as the actor may see it. The allow-list can be that of the user
// who created the token. So without CanViewMaskedData it is masked, unless the actor has
// created the token in person.
func (a Actor) SeesToken(t Token) Token {
	if !a.CanViewMaskedData && !(t.CreatedBy.TokenID == 0 && a.Is(t.CreatedBy.UserID)) {
		t.AllowList = t.AllowList.Masked()
	}
	return t
}

// Unmasked returns the change without the masks that the caller has read and sends back:
// those fields stay as they are. The mask of another value is Invalid: the caller has not
// seen the value that it would replace.
func (c UserChange) Unmasked(before User, actor Actor) (UserChange, error) {
	seen, readsMasks := actor.Sees(before), !actor.SeesUnmasked(before.ID)
	var problems []FieldError
	for _, field := range userFields {
		if !field.unmask(&c, &seen, readsMasks) {
			problems = append(problems, FieldError{
				Field: field.fieldName(), Code: "masked_value", Message: "is a mask, but not that of the present value",
			})
		}
	}
	return c, InvalidFields(problems)
}

// SeesEffect reports whether the caller may know if the change of a user is one: whether a field
// that is masked has the value already tells what the mask hides. The change is as Unmasked
// returns it.
func (c UserChange) SeesEffect(userID int64, actor Actor) bool {
	return actor.SeesUnmasked(userID) ||
		!slices.ContainsFunc(userFields, func(f userField) bool { return f.setsMasked(&c) })
}

// RequireNoMask returns an Invalid error for the fields of a new user that are masks.
func (u User) RequireNoMask(actor Actor) error {
	var problems []FieldError
	for _, field := range userFields {
		if field.holdsMask(&u, !actor.CanViewMaskedData) {
			problems = append(problems, FieldError{
				Field: field.fieldName(), Code: "masked_value", Message: "is a mask, not a value",
			})
		}
	}
	return InvalidFields(problems)
}

// SeesEvent returns an event as the actor may see it. Without CanViewMaskedData it masks
// the data of other users that is masked elsewhere.
func (a Actor) SeesEvent(e Event) Event {
	if a.CanViewMaskedData {
		return e
	}
	isOther := func(userID int64) bool { return userID != 0 && !a.Is(userID) }
	if !a.seesSourceOf(e) {
		// The client's id of a request is a text of that person.
		e.SourceMasked, e.Actor.Source = e.Actor.Source.IsValid(), netip.Addr{}
		if e.Actor.ClientRequestID != "" {
			e.Actor.ClientRequestID = mask
		}
	}
	e.Actor.Name = string(Name(e.Actor.Name).Masked()) // the name of a token may be an address
	var hide bool
	switch e.Type.SubjectType() {
	case "user":
		hide = isOther(e.SubjectID)
	case "token": // its allow-list can be that of its user, or of its creator
		hide = isOther(e.TokenUserID()) || isOther(e.Actor.UserID) ||
			e.Actor.UserID == 0 && e.Actor.TokenID != 0 || // a token hands on the list that it has from its creator
			e.Type == TokenRevoked // which does not tell who has created it
	case "webhook": // the path of a URL can be a secret
		hide = true
	}
	if hide {
		e.Changes = e.Changes.Masked()
	}
	return e
}

// seesSourceOf reports whether the actor may see the source of an event without
// CanViewMaskedData. The source of a person reveals a part of the allow-list.
func (a Actor) seesSourceOf(e Event) bool {
	switch {
	case e.Actor.UserID != 0:
		return a.Is(e.Actor.UserID) || a.TokenID != 0 && a.TokenID == e.Actor.TokenID
	case e.Type.SubjectType() == "user" && e.SubjectID != 0:
		return a.Is(e.SubjectID)
	}
	return e.Actor.TokenID != 0 // a service; otherwise an unknown person
}

// Masked returns the changes of a stored event as a caller without CanViewMaskedData sees
// them.
func (c Changes) Masked() Changes {
	masked := make(Changes, len(c))
	for field, change := range c {
		if hide := maskOf(field); hide != nil {
			change = Change{hide(change.Old), hide(change.New)}
		}
		masked[field] = change
	}
	return masked
}

// maskOf returns the mask of a field in the changes of an event of any type: a token has a
// name and an allow-list as well. It is nil for a field that is shown in full. A mask
// shows nothing of a value of an unexpected type.
func maskOf(field string) func(any) any {
	if field == FieldURL {
		return maskURL
	}
	for _, f := range userFields {
		if f.fieldName() == field {
			return f.maskOfText()
		}
	}
	return nil
}

// maskURL returns the scheme and the host of a URL.
func maskURL(value any) any {
	text, _ := value.(string)
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host + "/" + mask
}
