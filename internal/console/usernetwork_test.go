package console_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/service"
)

// setAddresses changes the allow-list of a user, as somebody else does.
func setAddresses(t *testing.T, s *apitest.Server, id int64, texts ...string) {
	t.Helper()
	list := identity.AllowList{}
	for _, text := range texts {
		entry, err := identity.ParseAddressRange(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, entry)
	}
	if _, err := s.Service.UpdateUser(t.Context(), identity.CommandLine(), id, service.UserUpdate{
		Change: identity.UserChange{AllowList: &list}, Force: true,
	}); err != nil {
		t.Fatal(err)
	}
}

// signInFrom signs in from an address.
func signInFrom(t *testing.T, s *apitest.Server, email, address string) *browser {
	t.Helper()
	b := newBrowser(t, s)
	b.header["X-Forwarded-For"] = []string{address}
	b.signIn(email, password)
	return b
}

// TestNetwork edits the allow-list of a user by the review, and explains addresses.
func TestNetwork(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		user := createUser(t, s, mary())
		path := pathOf(user) + "/network"
		a := b.get(path).want(t, http.StatusOK, "Empty for any address", "has not signed in for 90 days").
			without(t, "Save all the same")
		b.get(path+"?ip=8.8.8.8").want(t, http.StatusOK, "The list is empty, so every address is allowed")

		values := with(a.fields(), "step", "review", "ipWhitelist", "79.24.241.198\r\n\r\n10.0.0.1/8\r\n"+hostile)
		b.post(path, values).want(t, http.StatusBadRequest, "Line 3 must have no bits set", "did you mean 10.0.0.0/8",
			"Line 4 must be an IPv4", "Allowed addresses, line 3", `href="#f-ipWhitelist"`, "79.24.241.198", "10.0.0.1/8",
			`data-guard="edited"`).without(t, hostile)

		values.Set("ipWhitelist", "79.24.241.198\r\n20.65.174.0/24\r\n2001:db8::/32\r\n")
		a = b.post(path, values).want(t, http.StatusOK, "<del><bdi>any address</bdi></del>",
			"<ins><bdi>79.24.241.198, 20.65.174.0/24, 2001:db8::/32</bdi></ins>", "refused at once", "-X PATCH")
		if got := userAt(t, s, user.ID); got.Version != 1 {
			t.Fatalf("the review has saved: %+v", got)
		}
		b.post(path, with(a.fields(), "step", "edit")).want(t, http.StatusOK, "20.65.174.0/24", "Review changes")
		b.post(path, with(a.fields(), "step", "save")).want(t, http.StatusOK, "The allowed addresses are saved.")
		if got := userAt(t, s, user.ID); got.Version != 2 || len(got.AllowList) != 3 {
			t.Errorf("%+v", got)
		}
		b.post(path, with(a.fields(), "step", "save")).want(t, http.StatusOK, "Nothing had to be changed.")

		b.get(path+"?ip=20.65.174.9").want(t, http.StatusOK, "Allowed", "<code>20.65.174.0/24</code>",
			"/api/v2/network/explain",
			`{&#34;ip&#34;:&#34;20.65.174.9&#34;,&#34;userId&#34;:2}`)
		b.get(path+"?ip=::ffff:20.65.174.9").want(t, http.StatusOK, "<code>20.65.174.9</code> is in")
		b.get(path+"?ip=8.8.8.8").want(t, http.StatusOK, "Refused", "<code>8.8.8.8</code> is in none of the ranges.")
		for _, bad := range []string{"1.2.3", "10.0.0.0/8", "fe80::1%25eth0", url.QueryEscape(hostile)} {
			b.get(path+"?ip="+bad).want(t, http.StatusBadRequest, "This must be an IPv4 or IPv6 address.").without(t, hostile)
		}
		b.get(path+"?other=1").want(t, http.StatusBadRequest)
		b.get(path+"?add="+url.QueryEscape(hostile)).want(t, http.StatusOK, "&lt;img", `data-guard="edited"`).
			without(t, hostile)

		// The empty list allows every address; the review says it.
		values = with(b.get(path).fields(), "step", "review", "ipWhitelist", "")
		b.post(path, values).want(t, http.StatusOK, "may come from any address", "<ins><bdi>any address</bdi></ins>")
	})
}

// TestNetworkSources shows the addresses of the last sign-ins, and puts one into the form.
func TestNetworkSources(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		user := createUser(t, s, mary())
		newBrowser(t, s).signIn("mary@example.com", password)
		path := pathOf(user) + "/network"
		b.get(path).want(t, http.StatusOK, "<code>127.0.0.1</code>", path+"?ip=127.0.0.1#explain",
			path+"?add=127.0.0.1#f-ipWhitelist")
		setAddresses(t, s, user.ID, "10.0.0.0/8")
		a := b.get(path + "?add=127.0.0.1")
		if got := a.fields(); got.Get("ipWhitelist") != "10.0.0.0/8\n127.0.0.1" || got.Get("version") != "2" {
			t.Errorf("%v", got)
		}
		if got := userAt(t, s, user.ID); got.Version != 2 {
			t.Errorf("a link has saved: %+v", got)
		}
		setAddresses(t, s, user.ID, "127.0.0.1")
		b.get(path).want(t, http.StatusOK, "Explain<span").without(t, "?add=")
		s.Clock.Advance(91 * 24 * time.Hour)
		b.signIn(email, password)
		b.get(path).want(t, http.StatusOK, "has not signed in for 90 days")
	})
}

// TestNetworkLockOut warns operators before they shut themselves out.
func TestNetworkLockOut(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		const path = "/console/users/1/network"
		values := with(b.get(path).without(t, "Save all the same").fields(), "step", "review", "ipWhitelist", "203.0.113.7")
		warning := []string{"Saving this would shut you out.", "<code>127.0.0.1</code>, is in none", "Save all the same"}
		a := b.post(path, values).want(t, http.StatusConflict, warning...).want(t, http.StatusConflict, "203.0.113.7")
		// A review that is skipped changes nothing: the page still warns, and so does the service.
		b.post(path, with(a.fields(), "step", "save")).want(t, http.StatusConflict, warning...)
		if got := userAt(t, s, 1); got.Version != 1 {
			t.Fatalf("%+v", got)
		}
		// One's own address among others is no reason to warn.
		b.post(path, with(a.fields(), "step", "review", "ipWhitelist", "203.0.113.7\n127.0.0.0/8")).
			want(t, http.StatusOK, "Review the changes").without(t, "shuts you out")
		a = b.post(path, with(a.fields(), "step", "review", "ipWhitelist", "203.0.113.7", "force", "true")).
			want(t, http.StatusOK, "This shuts you out", "?force=true")
		b.post(path, with(a.fields(), "step", "save"))
		if got := userAt(t, s, 1); got.Version != 2 || len(got.AllowList) != 1 {
			t.Errorf("%+v", got)
		}
		if a := b.get("/console"); a.status == http.StatusOK {
			t.Errorf("%d\n%s", a.status, a.body)
		}
	})
}

// TestNetworkStale lets the second of two people choose.
func TestNetworkStale(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		user := createUser(t, s, mary())
		path := pathOf(user) + "/network"
		setAddresses(t, s, user.ID, "10.0.0.0/8")
		values := with(b.get(path).fields(), "step", "review", "ipWhitelist", "10.0.0.0/8\r\n203.0.113.7")
		setAddresses(t, s, user.ID, "192.0.2.0/24")
		a := b.post(path, values).want(t, http.StatusPreconditionFailed, "Somebody else was faster", "was <bdi>10.0.0.0/8",
			"<bdi>192.0.2.0/24</bdi>", "<bdi>10.0.0.0/8, 203.0.113.7</bdi>")
		a = b.post(path, with(a.fields(), "merge.ipWhitelist", "yours", "step", "review")).
			want(t, http.StatusOK, "<del><bdi>192.0.2.0/24</bdi></del>", "<ins><bdi>10.0.0.0/8, 203.0.113.7</bdi></ins>")
		b.post(path, with(a.fields(), "step", "save")).want(t, http.StatusOK, "The allowed addresses are saved.")
		if got := userAt(t, s, user.ID).AllowList.String(); got != "10.0.0.0/8 203.0.113.7" {
			t.Error(got)
		}
		// What both have typed is no conflict.
		values = with(b.get(path).fields(), "step", "save", "ipWhitelist", "203.0.113.0/24")
		setAddresses(t, s, user.ID, "203.0.113.0/24")
		b.post(path, values).want(t, http.StatusOK, "Nothing had to be changed.")
	})
}

// TestNetworkMasked keeps the list and the addresses from operators who see masks.
func TestNetworkMasked(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		signedIn(t, s)
		user := createUser(t, s, mary())
		signInFrom(t, s, "mary@example.com", "203.0.113.77")
		setAddresses(t, s, user.ID, "192.0.2.0/24", "198.51.100.1")
		path := pathOf(user) + "/network"
		secrets := []string{"192.0.2.", "198.51.100.1", "203.0.113.77", "mary@example.com"}

		viewer, self := signedInAs(t, s, "viewer@example.com", false, identity.UsersView)
		viewer.get(path).want(t, http.StatusOK, `***</span> <span class="quiet">hidden`,
			"This needs the permission users.update",
			"Explaining a masked list would unmask it.").without(t, append(secrets, "?ip=", "?add=")...)
		for _, ip := range []string{"192.0.2.7", "8.8.8.8", "nonsense"} {
			viewer.get(path+"?ip="+ip).want(t, http.StatusForbidden, "Explaining a masked list would unmask it.",
				"Administrators can give you").without(t, "Refused</span>", "Allowed</span>")
		}
		viewer.post(path, url.Values{"ipWhitelist": {""}, "step": {"save"}, "version": {"2"}}).
			want(t, http.StatusForbidden, "users.update")
		viewer.get(pathOf(self)+"/network?ip=8.8.8.8").want(t, http.StatusOK, "every address is allowed", "127.0.0.1",
			"This needs the permission users.update")

		editor, _ := signedInAs(t, s, "editor@example.com", false, identity.UsersUpdate)
		a := editor.get(path+"?add=203.0.113.9").want(t, http.StatusOK, "The list is hidden from you").without(t, secrets...)
		values := a.fields()
		if values.Get("ipWhitelist") != "***" {
			t.Fatalf("%v", values)
		}
		editor.post(path, with(values, "step", "save")).want(t, http.StatusOK, "Nothing had to be changed.")
		editor.post(path, with(values, "step", "review", "ipWhitelist", "***\n203.0.113.9")).
			want(t, http.StatusBadRequest, "mask").without(t, secrets...)
		a = editor.post(path, with(values, "step", "review", "ipWhitelist", "203.0.113.9")).
			want(t, http.StatusOK, "<del><bdi>***</bdi></del>").without(t, secrets...)
		editor.post(path, with(a.fields(), "step", "save")).want(t, http.StatusOK, "are saved").without(t, secrets...)
		if got := userAt(t, s, user.ID).AllowList.String(); got != "203.0.113.9" {
			t.Error(got)
		}
	})
}
