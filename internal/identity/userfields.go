package identity

import "slices"

// userFields declares each field of a user that can be changed, once. All operations on all
// fields (apply, compare, mask, write to events) use this table. The password is not in it,
// because a User does not have it.
var userFields = []userField{
	fieldOf[Name]{
		name: FieldName, own: true, mask: Name.Masked, maskText: maskText(Name.Masked),
		of: func(u *User) *Name { return &u.Name }, in: func(c *UserChange) **Name { return &c.Name },
	},
	fieldOf[Email]{
		name: FieldEmail, mask: Email.Masked, maskText: maskText(Email.Masked),
		// Such an address can be real, so it is a mask only for a caller who reads masks.
		isMask: func(e Email, readsMasks bool) bool { return readsMasks && e.IsMask() },
		of:     func(u *User) *Email { return &u.Email }, in: func(c *UserChange) **Email { return &c.Email },
	},
	fieldOf[Phone]{
		name: FieldPhone, own: true, mask: Phone.Masked, maskText: maskText(Phone.Masked),
		isMask: func(p Phone, _ bool) bool { return p.IsMask() },
		of:     func(u *User) *Phone { return &u.Phone }, in: func(c *UserChange) **Phone { return &c.Phone },
	},
	fieldOf[bool]{
		name: FieldActive,
		of:   func(u *User) *bool { return &u.Active }, in: func(c *UserChange) **bool { return &c.Active },
	},
	fieldOf[BlockedCode]{
		name: FieldBlockedCode,
		of:   func(u *User) *BlockedCode { return &u.BlockedCode },
		in:   func(c *UserChange) **BlockedCode { return &c.BlockedCode },
	},
	fieldOf[bool]{
		name: FieldTFA,
		of:   func(u *User) *bool { return &u.TFA }, in: func(c *UserChange) **bool { return &c.TFA },
	},
	fieldOf[[]int64]{
		name: FieldGroups, equal: slices.Equal[[]int64],
		of: func(u *User) *[]int64 { return &u.Groups }, in: func(c *UserChange) **[]int64 { return &c.Groups },
	},
	fieldOf[AllowList]{
		name: FieldAllowList, equal: slices.Equal[AllowList], mask: AllowList.Masked, maskText: maskList,
		isMask: func(l AllowList, _ bool) bool { return slices.Contains(l, AddressRange{}) },
		of:     func(u *User) *AllowList { return &u.AllowList }, in: func(c *UserChange) **AllowList { return &c.AllowList },
	},
	fieldOf[[]ClientTag]{
		name: FieldClientTags, equal: func(a, b []ClientTag) bool { return slices.EqualFunc(a, b, ClientTag.Equal) },
		of: func(u *User) *[]ClientTag { return &u.ClientTags },
		in: func(c *UserChange) **[]ClientTag { return &c.ClientTags },
	},
	fieldOf[bool]{
		name: FieldCanViewMaskedData,
		of:   func(u *User) *bool { return &u.CanViewMaskedData },
		in:   func(c *UserChange) **bool { return &c.CanViewMaskedData },
	},
}

// userField is a fieldOf any type.
type userField interface {
	fieldName() string
	isOwn() bool
	leave(c *UserChange)
	apply(c *UserChange, u *User)
	diff(before, after *User, changes Changes)
	masked(u *User)
	maskOfText() func(any) any
	holdsMask(u *User, readsMasks bool) bool
	unmask(c *UserChange, seen *User, readsMasks bool) (ok bool)
	setsMasked(c *UserChange) bool
	change(before, after *User, c *UserChange)
}

// fieldOf is a field of type T.
type fieldOf[T any] struct {
	name string                // in the changes of an event
	of   func(*User) *T        // where a user has it
	in   func(*UserChange) **T // where a change has it
	own  bool                  // in person, users may change it themselves
	// equal compares two values; nil for ==.
	equal func(a, b T) bool
	// mask returns the value as others see it without CanViewMaskedData, maskText does so for
	// a value of a stored event. Both are nil for a field that is shown in full.
	mask     func(T) T
	maskText func(any) any
	// isMask reports whether a value that is sent can only be a mask; nil for never.
	isMask func(value T, readsMasks bool) bool
}

func (f fieldOf[T]) fieldName() string         { return f.name }
func (f fieldOf[T]) isOwn() bool               { return f.own }
func (f fieldOf[T]) leave(c *UserChange)       { *f.in(c) = nil }
func (f fieldOf[T]) maskOfText() func(any) any { return f.maskText }

func (f fieldOf[T]) same(a, b T) bool {
	if f.equal != nil {
		return f.equal(a, b)
	}
	return any(a) == any(b)
}

func (f fieldOf[T]) apply(c *UserChange, u *User) {
	if value := *f.in(c); value != nil {
		*f.of(u) = *value
	}
}

func (f fieldOf[T]) diff(before, after *User, changes Changes) {
	if a, b := *f.of(before), *f.of(after); !f.same(a, b) {
		changes[f.name] = Change{a, b}
	}
}

func (f fieldOf[T]) change(before, after *User, c *UserChange) {
	if !f.same(*f.of(before), *f.of(after)) {
		*f.in(c) = f.of(after)
	}
}

func (f fieldOf[T]) masked(u *User) {
	if f.mask != nil {
		*f.of(u) = f.mask(*f.of(u))
	}
}

func (f fieldOf[T]) holdsMask(u *User, readsMasks bool) bool {
	return f.isMask != nil && f.isMask(*f.of(u), readsMasks)
}

// unmask removes a value from the change that equals the one that the caller sees. It
// returns false for the mask of another value.
func (f fieldOf[T]) unmask(c *UserChange, seen *User, readsMasks bool) (ok bool) {
	value := f.in(c)
	switch {
	case f.mask == nil || *value == nil:
		return true
	case f.same(**value, *f.of(seen)):
		*value = nil
		return true
	}
	return f.isMask == nil || !f.isMask(**value, readsMasks)
}

// setsMasked reports whether the change has a field that is masked.
func (f fieldOf[T]) setsMasked(c *UserChange) bool { return f.mask != nil && *f.in(c) != nil }

// maskText returns a mask for JSON strings. It shows nothing of a value of another type.
func maskText[T ~string](mask func(T) T) func(any) any {
	return func(value any) any {
		text, _ := value.(string)
		return string(mask(T(text)))
	}
}

// maskList returns a list that shows only whether the list is empty.
func maskList(value any) any {
	if list, _ := value.([]any); len(list) == 0 {
		return []any{}
	}
	return []any{mask}
}
