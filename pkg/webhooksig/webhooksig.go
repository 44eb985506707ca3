// Package webhooksig signs the webhooks that Roster sends and verifies them
// where they are received, in either of two schemes: Standard Webhooks and
// BI-Signature. It needs the standard library only, and knows neither what a
// body says nor how it travels.
//
// Both schemes sign the time with the body. A receiver that refuses old times,
// as [Verifier] does, and remembers the ids that it has seen for as long, cannot
// be made to act twice by somebody who repeats a request.
package webhooksig

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of Standard Webhooks.
const (
	HeaderID        = "webhook-id"        // the same each time a message is sent again
	HeaderTimestamp = "webhook-timestamp" // seconds since 1970
	HeaderSignature = "webhook-signature" // v1,<base64>, once per secret, separated by spaces
)

// The headers of BI-Signature.
const (
	HeaderBIDate      = "BI-Signature-Date" // UTC, ISO 8601 with microseconds and Z
	HeaderBISignature = "BI-Signature"      // base64; one line per secret, the newest first
)

// DefaultTolerance is how far a signed time may be from the receiver's clock, in
// either direction.
const DefaultTolerance = 5 * time.Minute

// Why a signature was refused, or could not be made.
var (
	ErrHeader    = errors.New("webhooksig: a signature header is missing or malformed")
	ErrTime      = errors.New("webhooksig: the signed time is too far from now")
	ErrSignature = errors.New("webhooksig: no signature matches")
	ErrSecret    = errors.New("webhooksig: a secret is malformed, or there is none")
	ErrID        = errors.New("webhooksig: an id has 1 to 255 visible ASCII characters and no dot")
)

const (
	secretPrefix = "whsec_"
	version      = "v1"
	biDateLayout = "2006-01-02T15:04:05.000000Z"

	secretBytes    = 32
	minSecretBytes = 24 // with the next one, the bounds of Standard Webhooks
	maxSecretBytes = 64
	maxIDLength    = 255
	maxTimeDigits  = 12 // until the year 33658
)

// NewSecret returns a new secret: whsec_ and 32 random bytes in base64.
func NewSecret() string {
	raw := make([]byte, secretBytes)
	_, _ = rand.Read(raw) // never fails (crypto/rand)
	return secretPrefix + base64.StdEncoding.EncodeToString(raw)
}

// SignStandard sets the three headers of Standard Webhooks for a body that is
// sent at a time, with one signature per secret in their order. Seconds are the
// precision of the signed time. It fails with ErrID or ErrSecret and leaves the
// headers as they were then.
func SignStandard(header http.Header, id string, at time.Time, body []byte, secrets ...string) error {
	if !isID(id) {
		return ErrID
	}
	keys, err := standardKeys(secrets)
	if err != nil {
		return err
	}
	timestamp := strconv.FormatInt(at.Unix(), 10)
	signatures := make([]string, len(keys))
	for i, key := range keys {
		signatures[i] = version + "," + signature(key, body, id, timestamp)
	}
	header.Set(HeaderID, id)
	header.Set(HeaderTimestamp, timestamp)
	header.Set(HeaderSignature, strings.Join(signatures, " "))
	return nil
}

// SignBI sets the headers of BI-Signature for a body that is sent at a time. The
// path is what the request line has, escaped and without the query: EscapedPath
// of the URL, or / where that is empty. The key is the whole secret, prefix and
// all. There is one BI-Signature line per secret: give the newest first, for a
// receiver that looks at one line looks at that. It fails with ErrSecret and
// leaves the headers as they were then.
func SignBI(header http.Header, method, path string, at time.Time, body []byte, secrets ...string) error {
	keys, err := wholeKeys(secrets)
	if err != nil {
		return err
	}
	date := at.UTC().Format(biDateLayout)
	signatures := make([]string, len(keys))
	for i, key := range keys {
		signatures[i] = signature(key, body, method, biPath(path), date)
	}
	header.Set(HeaderBIDate, date)
	header[http.CanonicalHeaderKey(HeaderBISignature)] = signatures
	return nil
}

// Verifier checks signatures where webhooks are received. A request is accepted
// when any of its signatures was made with any of the secrets, so that a secret
// can be replaced while requests are on their way.
type Verifier struct {
	Secrets   []string
	Tolerance time.Duration    // 0 means DefaultTolerance
	Now       func() time.Time // nil means time.Now
}

// Standard checks the headers of Standard Webhooks against the body as it was
// received. The error is ErrHeader, ErrTime, ErrSignature or ErrSecret, wrapped.
func (v Verifier) Standard(header http.Header, body []byte) error {
	keys, err := standardKeys(v.Secrets)
	if err != nil {
		return err
	}
	id, err := single(header, HeaderID)
	if err != nil {
		return err
	}
	timestamp, err := single(header, HeaderTimestamp)
	if err != nil {
		return err
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	switch {
	case !isID(id):
		return fmt.Errorf("%w: %s", ErrHeader, HeaderID)
	case err != nil || len(timestamp) > maxTimeDigits || strconv.FormatInt(seconds, 10) != timestamp:
		return fmt.Errorf("%w: %s", ErrHeader, HeaderTimestamp)
	}
	var given []string
	for _, line := range header.Values(HeaderSignature) {
		for word := range strings.FieldsSeq(line) {
			if text, ok := strings.CutPrefix(word, version+","); ok {
				given = append(given, text)
			}
		}
	}
	return v.check(HeaderSignature, given, time.Unix(seconds, 0), keys, body, id, timestamp)
}

// BI checks the headers of BI-Signature against the method, path and body of the
// request as it was received; the path as for SignBI. The error is ErrHeader,
// ErrTime, ErrSignature or ErrSecret, wrapped.
func (v Verifier) BI(header http.Header, method, path string, body []byte) error {
	keys, err := wholeKeys(v.Secrets)
	if err != nil {
		return err
	}
	date, err := single(header, HeaderBIDate)
	if err != nil {
		return err
	}
	at, err := time.Parse(biDateLayout, date)
	if err != nil || at.Format(biDateLayout) != date {
		return fmt.Errorf("%w: %s", ErrHeader, HeaderBIDate)
	}
	return v.check(HeaderBISignature, header.Values(HeaderBISignature), at, keys, body, method, biPath(path), date)
}

// check looks for one of the given signatures among those that the keys make.
func (v Verifier) check(name string, given []string, at time.Time, keys [][]byte, body []byte, signed ...string) error {
	if len(given) == 0 {
		return fmt.Errorf("%w: %s", ErrHeader, name)
	}
	now, tolerance := time.Now, DefaultTolerance
	if v.Now != nil {
		now = v.Now
	}
	if v.Tolerance != 0 {
		tolerance = v.Tolerance
	}
	if now().Sub(at).Abs() > tolerance {
		return ErrTime
	}
	for _, key := range keys {
		want := []byte(signature(key, body, signed...))
		for _, text := range given {
			if hmac.Equal(want, []byte(text)) {
				return nil
			}
		}
	}
	return ErrSignature
}

// signature returns the HMAC-SHA256 of the parts and the body, joined by dots,
// in base64.
func signature(key, body []byte, parts ...string) string {
	mac := hmac.New(sha256.New, key)
	for _, part := range parts {
		mac.Write([]byte(part))
		mac.Write([]byte("."))
	}
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// isID refuses the dot, too: it separates what is signed, and an id with a dot
// could be read as a shorter id and another time.
func isID(id string) bool {
	return id != "" && len(id) <= maxIDLength && !strings.ContainsFunc(id, func(r rune) bool {
		return r <= ' ' || r > '~' || r == '.'
	})
}

func single(header http.Header, name string) (string, error) {
	values := header.Values(name)
	if len(values) != 1 {
		return "", fmt.Errorf("%w: %s", ErrHeader, name)
	}
	return values[0], nil
}

func standardKeys(secrets []string) ([][]byte, error) {
	keys := make([][]byte, len(secrets))
	for i, secret := range secrets {
		text, ok := strings.CutPrefix(secret, secretPrefix)
		key, err := base64.StdEncoding.DecodeString(text)
		if !ok || err != nil || len(key) < minSecretBytes || len(key) > maxSecretBytes {
			return nil, ErrSecret
		}
		keys[i] = key
	}
	return notNone(keys)
}

func wholeKeys(secrets []string) ([][]byte, error) {
	keys := make([][]byte, len(secrets))
	for i, secret := range secrets {
		if secret == "" { // anybody could sign with that
			return nil, ErrSecret
		}
		keys[i] = []byte(secret)
	}
	return notNone(keys)
}

func notNone(keys [][]byte) ([][]byte, error) {
	if len(keys) == 0 {
		return nil, ErrSecret
	}
	return keys, nil
}

func biPath(path string) string {
	if path == "" {
		return "/"
	}
	return path
}
