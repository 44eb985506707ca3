package identity

import (
	"net/netip"
	"net/url"
	"strings"
	"unicode/utf8"
)

// What a caller without CanViewMaskedData sees of other people. The masks have
// a fixed width: how long a value is says something about it, too.
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

// IsMask reports whether the address could be one that Masked has made.
func (e Email) IsMask() bool { return e != "" && e.Masked() == e }

// Masked returns the name, or, where the name is an address, as that of a user
// whose address is all that is known of them, the mask of that.
func (n Name) Masked() Name {
	if isAddress(string(n)) {
		return Name(Email(n).Masked())
	}
	return n
}

// Key returns the form in which names are searched and ordered, without regard
// to case. An address is not to be found out by either, so it goes by its mask.
func (n Name) Key() string { return Fold(string(n.Masked())) }

// Masked returns the number as +1*******62: its first digit and its last two,
// unless it is so short that little else would remain.
func (p Phone) Masked() Phone {
	const shown, least = 3, 8 // digits
	switch {
	case p == "":
		return ""
	case len(p) < 1+least:
		return "+" + phoneMask
	}
	return p[:2] + phoneMask + p[len(p)-shown+1:]
}

// IsMask reports whether the number is one that Masked has made.
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

// Masked returns a list that shows only that there is one. The zero
// AddressRange is the mask of one: it holds no address and is written ***.
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

// Sees returns the user as the actor may see it; oneself is never masked.
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

// SeesToken returns a token as the actor may see it. Its allow-list can be that of
// the user who made it, so without CanViewMaskedData one sees only those of tokens
// that one has made in person.
func (a Actor) SeesToken(t Token) Token {
	if !a.CanViewMaskedData && !(t.CreatedBy.TokenID == 0 && a.Is(t.CreatedBy.UserID)) {
		t.AllowList = t.AllowList.Masked()
	}
	return t
}

// Unmasked returns the change without the values that the caller has read and sends
// back: they mean "as it is". The mask of another value is Invalid: who sends it has
// not seen what it would replace.
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

// RequireNoMask returns which fields of a new user are masks, as an Invalid error:
// there is no present value that they could stand for.
func (u User) RequireNoMask(actor Actor) error {
	var problems []FieldError
	for _, field := range userFields {
		if field.holdsMask(&u, !actor.CanViewMaskedData) {
			problems = append(problems, FieldError{Field: field.fieldName(), Code: "masked_value", Message: "is a mask, not a value"})
		}
	}
	return InvalidFields(problems)
}

// SeesEvent returns an event as the actor may see it: without CanViewMaskedData
// nothing in it tells of other people what is masked elsewhere.
func (a Actor) SeesEvent(e Event) Event {
	if a.CanViewMaskedData {
		return e
	}
	isOther := func(userID int64) bool { return userID != 0 && !a.Is(userID) }
	if !a.seesSourceOf(e) {
		// What a client calls its request is that person's text, too.
		e.SourceMasked, e.Actor.Source = e.Actor.Source.IsValid(), netip.Addr{}
		if e.Actor.ClientRequestID != "" {
			e.Actor.ClientRequestID = mask
		}
	}
	e.Actor.Name = string(Name(e.Actor.Name).Masked()) // tokens may be called by an address
	var hide bool
	switch e.Type.SubjectType() {
	case "user":
		hide = isOther(e.SubjectID)
	case "token": // its allow-list can be that of its user, or of its creator
		hide = isOther(e.TokenUserID()) || isOther(e.Actor.UserID)
	case "webhook": // a path can be a secret: its receiver is known by its host
		hide = true
	}
	if hide {
		e.Changes = e.Changes.Masked()
	}
	return e
}

// seesSourceOf reports whether the actor may see the address that an event came
// from without CanViewMaskedData. That of a person tells of the allow-list.
func (a Actor) seesSourceOf(e Event) bool {
	switch {
	case e.Actor.UserID != 0:
		return a.Is(e.Actor.UserID) || a.TokenID != 0 && a.TokenID == e.Actor.TokenID
	case e.Type.SubjectType() == "user" && e.SubjectID != 0:
		return a.Is(e.SubjectID)
	}
	return e.Actor.TokenID != 0 // a service; otherwise a person, though nobody knows which one
}

// Masked returns the changes that an event tells of, as they are read back from
// it, as others see them without CanViewMaskedData.
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

// maskOf returns the mask of a field in the changes of an event, whatever the event
// is about: a token has a name and an allow-list, too. It is nil for a field that is
// shown in full. A value that is not of the type it should be is not shown at all.
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

// maskURL shows of a URL the scheme and the host.
func maskURL(value any) any {
	text, _ := value.(string)
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host + "/" + mask
}
