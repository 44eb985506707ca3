package notify_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/notify"
	"github.com/rosterhq/roster/internal/store"
	"github.com/rosterhq/roster/internal/store/storetest"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 123456000, time.UTC)

// exact compares all fields, also of address ranges, and times as moments.
var exact = cmp.Options{
	cmp.Comparer(func(a, b identity.AddressRange) bool { return a == b }),
	cmpopts.EquateApproxTime(0),
}

// transact runs fn in a transaction.
func transact(t *testing.T, s *store.Store, fn func(ctx context.Context, tx *store.Tx) error) {
	t.Helper()
	if err := s.InTx(t.Context(), func(tx *store.Tx) error { return fn(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
}

// newUser stores a user and returns it.
func newUser(t *testing.T, s *store.Store) identity.User {
	t.Helper()
	allowList, err := identity.AllowListFrom("10.0.0.0/8 2001:db8::1")
	if err != nil {
		t.Fatal(err)
	}
	text := `"vip" <b>`
	user := identity.User{
		Name: `Zoë "Zo" <i>`, Email: "zoe@example.com", Phone: "+33612345678", Active: true, Groups: []int64{1},
		AllowList: allowList, ClientTags: []identity.ClientTag{{Text: &text}}, CreatedAt: noon, Version: 1,
	}
	transact(t, s, func(ctx context.Context, tx *store.Tx) (err error) {
		user.ID, err = tx.InsertUser(ctx, user, "hash")
		return err
	})
	return user
}

// messages returns what is in the outbox for a channel, the oldest first, with payloads.
func messages(t *testing.T, s *store.Store, channel delivery.Channel) []delivery.Message {
	t.Helper()
	listed, _, err := s.Messages(t.Context(), delivery.Filter{}, identity.Page{Limit: identity.MaxPageSize})
	if err != nil {
		t.Fatal(err)
	}
	var found []delivery.Message
	for _, m := range slices.Backward(listed) {
		if m.To.Channel != channel {
			continue
		}
		full, err := s.Message(t.Context(), m.ID)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, full)
	}
	return found
}

// TestMailRoundTrips: a mail is read back as it was ordered, and is addressed to whom it
// was ordered for.
func TestMailRoundTrips(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		user := newUser(t, s)
		moved := user
		moved.Email = "zoe@example.org"
		expiresAt := noon.Add(time.Hour)
		transact(t, s, func(ctx context.Context, tx *store.Tx) error {
			return orderMails(ctx, tx, user, moved, expiresAt)
		})
		changed := []string{identity.FieldEmail, identity.FieldActive}
		want := []struct {
			order     notify.MailOrder
			to        identity.Email // of the mail, sent after the address has changed
			about     int64
			expiresAt time.Time
		}{
			{notify.MailOrder{Kind: delivery.MailProfileCreated, UserID: user.ID}, moved.Email, user.ID, time.Time{}},
			{
				notify.MailOrder{Kind: delivery.MailAccountChanged, UserID: user.ID, Changed: changed},
				moved.Email, user.ID,
				time.Time{},
			},
			{
				notify.MailOrder{
					Kind: delivery.MailAccountChanged, UserID: user.ID, Changed: changed, To: string(user.Email),
				},
				user.Email, user.ID,
				time.Time{},
			},
			{
				notify.MailOrder{Kind: delivery.MailSigninCode, UserID: user.ID, ChallengeID: 42},
				moved.Email, user.ID, expiresAt,
			},
			{
				notify.MailOrder{
					Kind: delivery.MailNewSource, UserID: user.ID, To: string(user.Email), Source: "2001:db8::7", At: noon,
				},
				user.Email, user.ID,
				time.Time{},
			},
			{
				notify.MailOrder{
					Kind: delivery.MailInvitation, UserID: user.ID, To: string(user.Email), Inviter: "Jane Doe", At: noon,
				},
				user.Email, user.ID, expiresAt,
			},
			{notify.MailOrder{Kind: delivery.MailPasswordReset, To: "ZOE@example.com"}, moved.Email, user.ID, expiresAt},
			{notify.MailOrder{Kind: delivery.MailPasswordReset, To: "unknown@example.com"}, moved.Email, 0, expiresAt},
		}
		got := messages(t, s, delivery.ChannelMail)
		if len(got) != len(want) {
			t.Fatalf("%d messages, want %d", len(got), len(want))
		}
		for i, m := range got {
			order, err := notify.ParseMailOrder(m)
			if diff := cmp.Diff(want[i].order, order, exact); err != nil || diff != "" {
				t.Errorf("%d: %v\n%s", i, err, diff)
			}
			if m.Topic != string(order.Kind) || m.UserID != want[i].about || !m.ExpiresAt.Equal(want[i].expiresAt) {
				t.Errorf("%d: %+v", i, m)
			}
			mail := order.Mail(m.ID, moved)
			if mail.To != want[i].to || mail.Name != user.Name || mail.ID == "" || mail.Code != "" || mail.Link != "" {
				t.Errorf("%d: %+v, want it to go to %s", i, mail, want[i].to)
			}
		}
	})
}

// orderMails orders a mail of each kind, and one for a change that is not mailed.
func orderMails(ctx context.Context, tx *store.Tx, user, moved identity.User, expiresAt time.Time) error {
	changes := identity.Changes{identity.FieldActive: {}, identity.FieldEmail: {}, identity.FieldPhone: {}}
	unimportant := identity.Changes{identity.FieldPhone: {}}
	challenge := identity.Challenge{ID: 42, UserID: user.ID, ExpiresAt: expiresAt}
	for _, order := range []func() error{
		func() error { return notify.ProfileCreated(ctx, tx, user, noon) },
		func() error { return notify.AccountChanged(ctx, tx, user, moved, changes, noon) },
		func() error { return notify.AccountChanged(ctx, tx, user, user, unimportant, noon) },
		func() error { return notify.SigninCode(ctx, tx, challenge, noon) },
		func() error { return notify.NewSource(ctx, tx, user, "2001:db8::7", noon) },
		func() error { return notify.Invitation(ctx, tx, user, "Jane Doe", noon, expiresAt) },
		func() error { return reset(ctx, tx, "ZOE@example.com", user.ID, expiresAt) },
		func() error { return reset(ctx, tx, "unknown@example.com", 0, expiresAt) },
	} {
		if err := order(); err != nil {
			return err
		}
	}
	return nil
}

// reset orders a link and checks whom it is about.
func reset(ctx context.Context, tx *store.Tx, email identity.Email, want int64, expiresAt time.Time) error {
	userID, err := notify.PasswordReset(ctx, tx, email, noon, expiresAt)
	if err == nil && userID != want {
		err = identity.Errorf(identity.Internal, "test", "%s is user %d, want %d", email, userID, want)
	}
	return err
}

// newWebhook stores a webhook and returns its id.
func newWebhook(t *testing.T, s *store.Store, active bool, events ...identity.EventType) (id int64) {
	t.Helper()
	transact(t, s, func(ctx context.Context, tx *store.Tx) (err error) {
		id, err = tx.InsertWebhook(ctx, identity.Webhook{
			URL: "https://example.com/hook", Events: events, Format: identity.WebhookFormatV2,
			Auth: identity.WebhookAuthNone, Active: active, CreatedAt: noon, Version: 1,
		})
		return err
	})
	return id
}

// TestWebhookRoundTrips: an event goes to each active webhook that has subscribed to it,
// and is read back as it was.
func TestWebhookRoundTrips(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		user := newUser(t, s)
		all := newWebhook(t, s, true, identity.WebhookEvents...)
		deletions := newWebhook(t, s, true, identity.UserDeleted)
		newWebhook(t, s, false, identity.WebhookEvents...)
		gone := user
		gone.ID, gone.Name = 99, "Gone"
		connections := json.RawMessage(`[{"id":1e400}]`)
		transact(t, s, func(ctx context.Context, tx *store.Tx) error {
			for _, event := range []identity.Event{
				{Type: identity.UserUpdated, SubjectID: user.ID, Connections: connections},
				{Type: identity.UserDeleted, SubjectID: gone.ID, User: &gone},
				{Type: identity.UserSynced, SubjectID: user.ID, Connections: connections},
				{Type: identity.GroupCreated, SubjectID: 1},
			} {
				event.Time = noon
				webhooks, err := tx.Emit(ctx, event)
				if err != nil {
					return err
				}
				if err := notify.Webhooks(ctx, tx, webhooks, event); err != nil {
					return err
				}
			}
			_, err := notify.Ping(ctx, tx, deletions, noon)
			return err
		})
		want := []struct {
			to      int64
			about   int64
			message delivery.WebhookMessage
		}{
			{all, user.ID, delivery.WebhookMessage{Type: identity.UserUpdated, User: user}},
			{all, gone.ID, delivery.WebhookMessage{Type: identity.UserDeleted, User: gone}},
			{deletions, gone.ID, delivery.WebhookMessage{Type: identity.UserDeleted, User: gone}},
			{all, user.ID, delivery.WebhookMessage{Type: identity.UserSynced, User: user, Connections: connections}},
			{deletions, 0, delivery.WebhookMessage{Type: identity.WebhookPing}},
		}
		got := messages(t, s, delivery.ChannelWebhook)
		if len(got) != len(want) {
			t.Fatalf("%d messages, want %d", len(got), len(want))
		}
		for i, m := range got {
			message, err := notify.WebhookMessage(m)
			want[i].message.ID, want[i].message.Time = m.ID, noon
			if diff := cmp.Diff(want[i].message, message, exact); err != nil || diff != "" {
				t.Errorf("%d: %v\n%s", i, err, diff)
			}
			if m.To != delivery.ToWebhook(want[i].to) || m.UserID != want[i].about || m.Topic != string(message.Type) {
				t.Errorf("%d: %+v", i, m)
			}
		}
	})
}

// TestOldPayloads: what an earlier release has put into the outbox is read.
func TestOldPayloads(t *testing.T) {
	t.Parallel()
	const user = `{"ID":7,"Name":"Mary","Email":"mary@example.com","Phone":"","BlockedCode":"","Active":true,"TFA":true,` +
		`"Groups":[1],"AllowList":"10.0.0.0/8","ClientTags":"[\"vip\"]","CanViewMaskedData":true,` +
		`"CreatedAt":"2026-11-22T12:00:00Z","UpdatedAt":"0001-01-01T00:00:00Z","LastSigninAt":"0001-01-01T00:00:00Z",` +
		`"Version":3}`
	for payload, want := range map[string]string{
		`{"Type":"USER_UPDATED","Time":"2026-11-22T12:00:00Z","User":` + user + `,"Connections":null}`: "mary@example.com",
		`{"Type":"PING","Time":"2026-11-22T12:00:00Z","User":null,"Connections":null}`:                 "",
		// Of a release that knew fewer fields, or more.
		`{"Type":"USER_CREATED","User":{"email":"mary@example.com","fromTheFuture":[{}]},"Later":1}`: "mary@example.com",
	} {
		message, err := notify.WebhookMessage(delivery.Message{ID: 5, Payload: payload})
		if err != nil || string(message.User.Email) != want || message.ID != 5 || message.Connections != nil {
			t.Errorf("%s: %+v, %v", payload, message, err)
		}
	}
	order, err := notify.ParseMailOrder(delivery.Message{
		Payload: `{"Kind":"account_changed","UserID":7,"To":"","ChallengeID":0,"Changed":["tfa"],"FromTheFuture":{}}`,
	})
	want := notify.MailOrder{Kind: delivery.MailAccountChanged, UserID: 7, Changed: []string{"tfa"}}
	if diff := cmp.Diff(want, order); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

// FuzzPayloads: a payload that was erased, cut off or is not what it should be is an
// error, and no part of a webhook's message is sent.
func FuzzPayloads(f *testing.F) {
	for _, bad := range []string{
		"", "[]", "1", `"x"`, `{"Type":1}`, `{"Type":"USER_CREATED"`, `{"Type":"USER_CREATED","Time":"yesterday"}`,
		`{"Type":"USER_CREATED"}`, `{"Type":"USER_CREATED","User":[]}`, `{"Type":"USER_CREATED","User":{"allowlist":"all"}}`,
		`{"Type":"USER_CREATED","User":{"allowlist":["10.0.0.0/8"]}}`, `{"Type":"USER_CREATED","User":{"clienttags":"{"}}`,
		`{"Type":"USER_CREATED","User":{"groups":"1"}}`, `{"Type":"USER_CREATED","User":{"id":1e99}}`,
	} {
		if message, err := notify.WebhookMessage(delivery.Message{ID: 5, Payload: bad}); err == nil {
			f.Errorf("%s is read as %+v", bad, message)
		}
		f.Add(bad)
	}
	for _, bad := range []string{
		"", "[]", `{"Kind":1}`, `{"UserID":"7"}`, `{"UserID":1e99}`, `{"Changed":"tfa"}`, `{"At":1}`,
	} {
		if order, err := notify.ParseMailOrder(delivery.Message{Payload: bad}); err == nil {
			f.Errorf("%s is read as %+v", bad, order)
		}
		f.Add(bad)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		message, err := notify.WebhookMessage(delivery.Message{ID: 5, Payload: payload})
		if err != nil && !cmp.Equal(message, delivery.WebhookMessage{}, exact) {
			t.Errorf("%q: %+v, %v", payload, message, err)
		}
		order, err := notify.ParseMailOrder(delivery.Message{Payload: payload})
		if err != nil {
			return
		}
		mail := order.Mail(5, identity.User{Email: "mary@example.com"})
		if mail.To == "" || mail.Code != "" || mail.Link != "" {
			t.Errorf("%q: %+v", payload, mail)
		}
	})
}
