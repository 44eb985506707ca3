package webhooksig

import (
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const (
	oldSecret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=" // 0123456789abcdef, twice
	newSecret = "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="
)

var (
	noon = time.Date(2026, 3, 4, 12, 0, 0, 56_789_000, time.UTC)
	body = []byte(`{"id":7,"name":"Zoë"}`)
)

func at(moment time.Time, secrets ...string) Verifier {
	return Verifier{Secrets: secrets, Now: func() time.Time { return moment }}
}

func TestStandardAgreesWithTheProjectsLibrary(t *testing.T) {
	t.Parallel()
	library, err := standardwebhooks.NewWebhook(oldSecret)
	if err != nil {
		t.Fatal(err)
	}
	ours := http.Header{}
	const id = "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"
	if err := SignStandard(ours, id, time.Now(), body, newSecret, oldSecret); err != nil {
		t.Fatal(err)
	}
	if err := library.Verify(body, ours); err != nil {
		t.Errorf("the library refuses ours: %v", err)
	}
	if err := library.Verify([]byte(`{}`), ours); err == nil {
		t.Error("the library accepts another body")
	}

	now := time.Now()
	signature, err := library.Sign("msg_1", now, body)
	if err != nil {
		t.Fatal(err)
	}
	theirs := http.Header{}
	theirs.Set(standardwebhooks.HeaderWebhookID, "msg_1")
	theirs.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	theirs.Set(standardwebhooks.HeaderWebhookSignature, signature)
	if err := (Verifier{Secrets: []string{newSecret, oldSecret}}).Standard(theirs, body); err != nil {
		t.Errorf("we refuse the library's: %v", err)
	}
}

// TestKnownSignatures compares with the signatures of openssl for the same bytes:
//
//	printf '%s' "$signed" | openssl dgst -sha256 -hmac "$key" -binary | base64
func TestKnownSignatures(t *testing.T) {
	t.Parallel()
	standard, bi := http.Header{}, http.Header{}
	if err := SignStandard(standard, "msg_1", noon, body, oldSecret); err != nil {
		t.Fatal(err)
	}
	if err := SignBI(bi, http.MethodPost, "/hooks/roster", noon, body, newSecret, oldSecret); err != nil {
		t.Fatal(err)
	}
	want := http.Header{
		"Webhook-Id":        {"msg_1"},
		"Webhook-Timestamp": {"1772625600"},
		"Webhook-Signature": {"v1,5jLZs/fw2xDr5pI/xNNAKk0hbJjgFfvWQaEZo1no97w="},
	}
	if diff := cmp.Diff(want, standard); diff != "" {
		t.Error(diff)
	}
	want = http.Header{
		"Bi-Signature-Date": {"2026-03-04T12:00:00.056789Z"},
		"Bi-Signature": {
			"RGB4MfCOLLej8Re7wBl3rvZ92hR/Hb3L0Cmm6h8z9Tk=", "oR3NfCzR4xlmkhBbDaaectSrPjQxNhUdnezN0dYLL1g=",
		},
	}
	if diff := cmp.Diff(want, bi); diff != "" {
		t.Error(diff)
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	standard, bi := http.Header{}, http.Header{}
	if err := SignStandard(standard, "msg_1", noon, body, newSecret, oldSecret); err != nil {
		t.Fatal(err)
	}
	elsewhere := noon.In(time.FixedZone("", 3600))
	if err := SignBI(bi, http.MethodPost, "", elsewhere, body, newSecret, oldSecret); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{oldSecret, newSecret} {
		if err := at(noon, secret).Standard(standard, body); err != nil {
			t.Error(err)
		}
		if err := at(noon, secret).BI(bi, http.MethodPost, "/", body); err != nil {
			t.Error(err)
		}
	}
	if err := at(noon, NewSecret()).Standard(standard, body); !errors.Is(err, ErrSignature) {
		t.Error(err)
	}
	if err := at(noon, NewSecret()).BI(bi, http.MethodPost, "/", body); !errors.Is(err, ErrSignature) {
		t.Error(err)
	}
}

func TestStandardRefuses(t *testing.T) {
	t.Parallel()
	signed := http.Header{}
	if err := SignStandard(signed, "msg_1", noon, body, oldSecret); err != nil {
		t.Fatal(err)
	}
	signature := signed.Get(HeaderSignature)
	nothing := func(http.Header) {}
	set := func(name string, values ...string) func(http.Header) {
		return func(h http.Header) { h[http.CanonicalHeaderKey(name)] = values }
	}
	remove := func(name string) func(http.Header) { return func(h http.Header) { h.Del(name) } }
	tests := map[string]struct {
		change func(http.Header)
		now    time.Time
		want   error
	}{
		"nothing wrong":       {nothing, noon, nil},
		"as old as it may be": {nothing, noon.Truncate(time.Second).Add(DefaultTolerance), nil},
		"too old":             {nothing, noon.Add(DefaultTolerance), ErrTime},
		"too new":             {nothing, noon.Add(-DefaultTolerance - time.Second), ErrTime},
		"other words first":   {set(HeaderSignature, "v1a,xyz  v2,abc "+signature), noon, nil},
		"on a second line":    {set(HeaderSignature, "v1,", signature), noon, nil},
		"another id":          {set(HeaderID, "msg_2"), noon, ErrSignature},
		"another time":        {set(HeaderTimestamp, "1772625601"), noon, ErrSignature},
		"another version":     {set(HeaderSignature, "v2"+signature[2:]), noon, ErrHeader},
		"a shorter signature": {set(HeaderSignature, signature[:len(signature)-1]), noon, ErrSignature},
		"empty signature":     {set(HeaderSignature, "v1,"), noon, ErrSignature},
		"no signature":        {remove(HeaderSignature), noon, ErrHeader},
		"no id":               {remove(HeaderID), noon, ErrHeader},
		"two ids":             {set(HeaderID, "msg_1", "msg_1"), noon, ErrHeader},
		"id with a dot":       {set(HeaderID, "msg_1.1772625600"), noon, ErrHeader},
		"no time":             {remove(HeaderTimestamp), noon, ErrHeader},
		"time with a sign":    {set(HeaderTimestamp, "+1772625600"), noon, ErrHeader},
		"time with a zero":    {set(HeaderTimestamp, "01772625600"), noon, ErrHeader},
		"time of no clock":    {set(HeaderTimestamp, "-9223372036854775808"), noon, ErrHeader},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := signed.Clone()
			test.change(header)
			if err := at(test.now, oldSecret).Standard(header, body); !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
	wide := at(noon.Add(time.Hour), oldSecret)
	wide.Tolerance = 2 * time.Hour
	if err := wide.Standard(signed, body); err != nil {
		t.Errorf("with a wide tolerance: %v", err)
	}
}

func TestBIRefuses(t *testing.T) {
	t.Parallel()
	signed := http.Header{}
	if err := SignBI(signed, http.MethodPost, "/a%2Fb", noon, body, oldSecret); err != nil {
		t.Fatal(err)
	}
	seconds := func(h http.Header) { h.Set(HeaderBIDate, "2026-03-04T12:00:00Z") }
	offset := func(h http.Header) { h.Set(HeaderBIDate, "2026-03-04T12:00:00.056789+00:00") }
	tests := map[string]struct {
		change       func(http.Header)
		method, path string
		now          time.Time
		want         error
	}{
		"nothing wrong":  {func(http.Header) {}, "POST", "/a%2Fb", noon, nil},
		"too old":        {func(http.Header) {}, "POST", "/a%2Fb", noon.Add(DefaultTolerance + 1), ErrTime},
		"too new":        {func(http.Header) {}, "POST", "/a%2Fb", noon.Add(-DefaultTolerance - 1), ErrTime},
		"another method": {func(http.Header) {}, "PUT", "/a%2Fb", noon, ErrSignature},
		"another path":   {func(http.Header) {}, "POST", "/a/b", noon, ErrSignature},
		"no date":        {func(h http.Header) { h.Del(HeaderBIDate) }, "POST", "/a%2Fb", noon, ErrHeader},
		"no micros":      {seconds, "POST", "/a%2Fb", noon, ErrHeader},
		"with an offset": {offset, "POST", "/a%2Fb", noon, ErrHeader},
		"no signature":   {func(h http.Header) { h.Del(HeaderBISignature) }, "POST", "/a%2Fb", noon, ErrHeader},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := signed.Clone()
			test.change(header)
			if err := at(test.now, oldSecret).BI(header, test.method, test.path, body); !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
}

func TestWhatCannotBeSigned(t *testing.T) {
	t.Parallel()
	header := http.Header{"X": {"y"}}
	before := maps.Clone(header)
	for _, id := range []string{"", "a.b", "a b", "a\r\nb", "ä", strings.Repeat("x", maxIDLength+1)} {
		if err := SignStandard(header, id, noon, body, oldSecret); !errors.Is(err, ErrID) {
			t.Errorf("%q: %v", id, err)
		}
	}
	short := secretPrefix + base64.StdEncoding.EncodeToString(make([]byte, minSecretBytes-1))
	for _, secrets := range [][]string{
		nil, {""}, {"whsec_"}, {short}, {"whsec_!"}, {oldSecret[len(secretPrefix):]}, {newSecret, "x"},
	} {
		if err := SignStandard(header, "msg_1", noon, body, secrets...); !errors.Is(err, ErrSecret) {
			t.Errorf("%q: %v", secrets, err)
		}
		if err := at(noon, secrets...).Standard(header, body); !errors.Is(err, ErrSecret) {
			t.Errorf("%q: %v", secrets, err)
		}
	}
	for _, secrets := range [][]string{nil, {""}, {newSecret, ""}} {
		if err := SignBI(header, "POST", "/", noon, body, secrets...); !errors.Is(err, ErrSecret) {
			t.Errorf("%q: %v", secrets, err)
		}
		if err := at(noon, secrets...).BI(header, "POST", "/", body); !errors.Is(err, ErrSecret) {
			t.Errorf("%q: %v", secrets, err)
		}
	}
	if diff := cmp.Diff(before, header); diff != "" {
		t.Error(diff)
	}
}

func TestNewSecret(t *testing.T) {
	t.Parallel()
	a, b := NewSecret(), NewSecret()
	if a == b || !regexp.MustCompile(`^whsec_[A-Za-z0-9+/]{43}=$`).MatchString(a) {
		t.Errorf("%q %q", a, b)
	}
	if _, err := standardKeys([]string{a, b}); err != nil {
		t.Error(err)
	}
}

// FuzzVerify checks that no input makes a panic, and that only what was signed is
// accepted.
func FuzzVerify(f *testing.F) {
	signed := http.Header{}
	if err := SignStandard(signed, "msg_1", noon, body, oldSecret); err != nil {
		f.Fatal(err)
	}
	f.Add("msg_1", "1772625600", signed.Get(HeaderSignature), "/", body)
	f.Add("msg_1", "1772625600", "v1,", "", []byte{})
	f.Add("", "-9223372036854775808", "v1,  v1", "/%zz", []byte("\xff"))
	f.Add("a.b", "2026-03-04T12:00:00.056789Z", "====", "//", []byte("x"))
	f.Fuzz(func(t *testing.T, id, when, text, path string, payload []byte) {
		header := http.Header{}
		header.Set(HeaderID, id)
		header.Set(HeaderTimestamp, when)
		header.Set(HeaderSignature, text)
		header.Set(HeaderBIDate, when)
		header.Set(HeaderBISignature, text)
		verifier := at(noon, oldSecret)
		if err := verifier.Standard(header, payload); err == nil && (id != "msg_1" || string(payload) != string(body)) {
			t.Errorf("accepted %q %q %q %q", id, when, text, payload)
		}
		if err := verifier.BI(header, http.MethodPost, path, payload); err == nil {
			t.Errorf("accepted %q %q %q %q", path, when, text, payload)
		}
	})
}
