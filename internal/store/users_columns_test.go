package store_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
	"github.com/rosterhq/roster/internal/store/storetest"
)

// fullUser returns a user none of whose fields has its zero value.
func fullUser(t *testing.T) identity.User {
	t.Helper()
	allowList, err := identity.AllowListFrom("10.0.0.0/8 2001:db8::1")
	if err != nil {
		t.Fatal(err)
	}
	tags, err := identity.ClientTagsFrom(`["vip",{"id":7,"name":"Acme"}]`)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 22, 12, 0, 0, 123456000, time.UTC)
	user := identity.User{
		ID: 12, Name: "Mary", Email: "mary@example.com", Phone: "+33612345678", Active: true, BlockedCode: identity.EmailChanged,
		TFA: true, Groups: []int64{1}, AllowList: allowList, ClientTags: tags, CanViewMaskedData: true,
		CreatedAt: at, UpdatedAt: at.Add(time.Hour), LastSigninAt: at.Add(2 * time.Hour), Version: 3,
	}
	for i := range reflect.TypeFor[identity.User]().NumField() {
		if reflect.ValueOf(user).Field(i).IsZero() {
			t.Fatalf("this test gives %s no value", reflect.TypeFor[identity.User]().Field(i).Name)
		}
	}
	return user
}

// TestEveryFieldIsStored: a field that is missing from the table of columns would be
// lost without a word.
func TestEveryFieldIsStored(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		want := fullUser(t)
		err := s.InTx(t.Context(), func(tx *store.Tx) error {
			id, err := tx.InsertUser(t.Context(), identity.User{Name: "new", Email: "new@example.com", CreatedAt: want.CreatedAt, Version: 1}, "hash")
			if err != nil {
				return err
			}
			before, err := tx.UserForUpdate(t.Context(), id)
			if err != nil {
				return err
			}
			want.ID = id
			if err := tx.UpdateUser(t.Context(), before, want); err != nil {
				return err
			}
			if err := tx.ReplaceMemberships(t.Context(), id, want.Groups); err != nil {
				return err
			}
			return tx.SetLastSignin(t.Context(), id, want.LastSigninAt)
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.User(t.Context(), want.ID)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v\nwant %+v", got, err, want)
		}
	})
}

func TestSnapshots(t *testing.T) {
	t.Parallel()
	want := fullUser(t)
	raw, err := store.MarshalUser(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := store.UnmarshalUser(raw); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	// The release before this one wrote a struct and reads into the same struct.
	type before struct {
		ID                                 int64
		Name, Email, Phone, BlockedCode    string
		Active, TFA                        bool
		Groups                             []int64
		AllowList, ClientTags              string
		CanViewMaskedData                  bool
		CreatedAt, UpdatedAt, LastSigninAt time.Time
		Version                            int64
	}
	var read before
	if err := json.Unmarshal(raw, &read); err != nil || reflect.ValueOf(read).FieldByName("AllowList").String() != "10.0.0.0/8 2001:db8::1" ||
		!read.LastSigninAt.Equal(want.LastSigninAt) || !read.CanViewMaskedData {
		t.Errorf("%+v, %v", read, err)
	}
	old, err := json.Marshal(read)
	if err != nil {
		t.Fatal(err)
	}
	var known identity.User // the fields that the release before this one has
	for i := range reflect.TypeFor[before]().NumField() {
		name := reflect.TypeFor[before]().Field(i).Name
		reflect.ValueOf(&known).Elem().FieldByName(name).Set(reflect.ValueOf(want).FieldByName(name))
	}
	if got, err := store.UnmarshalUser(old); err != nil || !reflect.DeepEqual(got, known) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, known)
	}
	for _, bad := range []string{`{"allowlist":"nowhere"}`, `null`, `[]`, ``} {
		if got, err := store.UnmarshalUser(json.RawMessage(bad)); err == nil {
			t.Errorf("%q is read as %+v", bad, got)
		}
	}
}
